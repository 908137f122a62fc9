// The tokeniser 13a of NIST's mteval-v13a, as sacrebleu has it. Its definition is in kernels/tokens.py.
#pragma once

#include <cstddef>
#include <cstdint>

#include "machine.hpp"
#include "unicode.hpp"

namespace m4i {

// Whether nothing in the text must be replaced first: no entity, no line end, no <skipped>.
bool plain_for_13a(const unicode::Units& text);

// Lists where the tokens of a plain text in UTF-8, whose white space is ASCII, begin and end, counted from `text` plus `base`; at most `size` tokens.
// Returns their number.
std::size_t split_13a(const Machine& machine, const char* text, std::size_t size, std::uint32_t base,
                      std::uint32_t* starts, std::uint32_t* ends);

}  // namespace m4i
