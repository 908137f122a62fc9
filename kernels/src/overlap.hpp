// Integer statistics of hypotheses against their references: all that ROUGE and BLEU are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lcs.hpp"
#include "machine.hpp"
#include "ngrams.hpp"
#include "prepared.hpp"
#include "tokens.hpp"

namespace m4i {

// Where results go: one array a column; pairs in the order of the records, references within a record in their own.
struct Columns {
    // A row a record.
    std::int32_t* hypothesis_length;
    std::int32_t* hypothesis_length_lcs;
    Counts* best_matches;
    std::int32_t* closest_length;
    // A row a pair.
    std::int32_t* lcs;
    Counts* matches;
    std::int32_t* reference_length;
    std::int32_t* reference_length_lcs;

    Columns from(std::size_t record, std::size_t pair) const {
        return {hypothesis_length + record, hypothesis_length_lcs + record, best_matches + record,
                closest_length + record,    lcs + pair,                     matches + pair,
                reference_length + pair,    reference_length_lcs + pair};
    }
};

// One for each thread.
class Comparer {
public:
    Comparer(Tokeniser tokeniser, const Machine& machine)
        : tokeniser_(tokeniser), machine_(machine), tokens_(tokeniser, machine), apart_(tokeniser, machine) {}

    // `texts`: each record's hypothesis and then its references; `sizes`: texts of each record, at least one.
    // Records that fit the first-level cache together are best.
    void compare(const Text* texts, const std::uint32_t* sizes, std::size_t records, Columns columns);

    // Hypotheses, one a record, against the references of records `first` and following.
    void compare(const Text* hypotheses, std::size_t records, const Prepared& references, std::size_t first,
                 Columns columns);

private:
    // A record's hypothesis, and then its references, in texts_ and in apart_texts_.
    template <typename Apart>
    void compare_texts(const std::uint32_t* sizes, std::size_t records, Columns columns, Apart apart);
    void compare_short(Columns columns);
    void compare_long(const Tokens* texts, std::size_t references, Columns columns);
    void compare_apart(const Tokens* texts, std::size_t references, Columns columns);

    Tokeniser tokeniser_;
    const Machine& machine_;
    TokenStream tokens_;
    TokenStream apart_;
    std::vector<Tokens> texts_;
    std::vector<Tokens> apart_texts_;
    std::vector<std::uint32_t> sizes_;
    std::vector<Pair> pairs_;
    std::vector<Used> used_;
    std::vector<std::uint64_t> room_;

    // Records with long texts.
    Dictionary dictionary_;
    std::vector<std::int32_t> hypothesis_;
    std::vector<std::int32_t> reference_;
    NgramMatcher matcher_;
    LongestCommonSubsequence subsequence_;
};

}  // namespace m4i
