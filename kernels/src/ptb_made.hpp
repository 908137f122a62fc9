// What the PTB tokeniser makes of a token before it is written in lower case: quotes, brackets, fractions, money.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ptb_tables.hpp"

namespace m4i::ptb {

// `alone`: whether the text is one by itself, in which ends of lines are blanks.
void make(Made made, bool alone, std::u16string& token);

// Whether a sigma ends a word, as Java sees words.
class Words {
public:
    Words(const Tables& tables, std::u16string_view units) : tables_(tables), units_(units) {}

    bool ends_at(std::size_t sigma) const;

private:
    bool is(std::size_t at, std::uint8_t bits) const { return (tables_.in_words[units_[at]] & bits) != 0; }
    std::size_t before(std::size_t at) const;
    std::size_t after(std::size_t at) const;
    bool inside(std::size_t at) const;
    bool joined(std::size_t at) const;

    const Tables& tables_;
    std::u16string_view units_;
};

}  // namespace m4i::ptb
