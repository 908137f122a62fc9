// Integer statistics of hypotheses against their references: all that ROUGE and BLEU are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine.hpp"
#include "prepared.hpp"
#include "records.hpp"
#include "small.hpp"
#include "tokens.hpp"

namespace m4i {

// One for each thread.
class Comparer {
public:
    Comparer(Tokeniser tokeniser, const Machine& machine)
        : tokeniser_(tokeniser), tokens_(tokeniser, machine), apart_(tokeniser, machine), records_(machine), small_(machine) {}

    // `texts`: each record's hypothesis and then its references; `sizes`: texts of each record, at least one.
    // Records that fit the first-level cache together are best.
    void compare(const Text* texts, const std::uint32_t* sizes, std::size_t records, Columns columns);

    // Hypotheses, one a record, against the references of records `first` and following.
    void compare(const Text* hypotheses, std::size_t records, const Prepared& references, std::size_t first,
                 Columns columns);

private:
    void compare_small(std::size_t records, const Prepared& references, std::size_t first, Columns columns);

    // Splits at single spaces what is not single-spaced; `apart(record, text, size)` puts a record's texts into
    // apart_texts_.
    template <typename Apart>
    void split_twice(const std::uint32_t* sizes, std::size_t records, Columns columns, Apart apart);

    Tokeniser tokeniser_;
    TokenStream tokens_;
    TokenStream apart_;
    std::vector<Tokens> texts_;
    std::vector<Tokens> apart_texts_;
    std::vector<std::uint32_t> sizes_;
    RecordComparer<Key> records_;
    SmallComparer small_;
    std::vector<Small> said_;  // the hypotheses' tokens, and kShort more
    std::vector<std::int64_t> said_offsets_;
};

}  // namespace m4i
