// Records with long texts, one by one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lcs.hpp"
#include "machine.hpp"
#include "ngrams.hpp"
#include "tokens.hpp"
#include "wide.hpp"

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

    // Zeros in the first rows. They are written here and there, pair by pair as their lengths come, and each write would
    // wait for memory that is in no cache; memory that is filled in order is there.
    void fetch(std::size_t records, std::size_t pairs) const {
        for (auto* const each : {hypothesis_length, hypothesis_length_lcs, closest_length}) std::fill_n(each, records, 0);
        std::fill_n(best_matches, records, Counts{});
        for (auto* const each : {lcs, reference_length, reference_length_lcs}) std::fill_n(each, pairs, 0);
        std::fill_n(matches, pairs, Counts{});
    }
};

// Whether lanes have room for a record's texts.
inline bool fits_lanes(std::uint32_t hypothesis, std::uint32_t longest) {
    return hypothesis <= kShort && longest <= kLongestInLanes;
}

// The one of `references` that is nearest in length to the hypothesis, of two the shorter; 0 where there is none.
class Closest {
public:
    explicit Closest(std::uint32_t hypothesis) : hypothesis_(hypothesis) {}

    void offer(std::uint32_t reference) {
        const std::uint64_t distance = reference < hypothesis_ ? hypothesis_ - reference : reference - hypothesis_;
        best_ = std::min(best_, (distance << 32) | reference);
    }

    std::int32_t length() const { return best_ == kNothing ? 0 : static_cast<std::int32_t>(best_); }

private:
    static constexpr std::uint64_t kNothing = ~std::uint64_t{0};

    std::uint32_t hypothesis_;
    std::uint64_t best_ = kNothing;  // distance and length
};

// `Token`: Key, Id or Small. `texts`: the hypothesis, then its references.
template <typename Token>
class LongComparer {
public:
    explicit LongComparer(const Machine& machine) : wide_(machine) {}

    // Writes lcs, matches and best_matches.
    void compare(const TokensOf<Token>* texts, std::size_t references, Columns columns);

    // Lengths of the longest common subsequences alone.
    void subsequences(const TokensOf<Token>* texts, std::size_t references, std::int32_t* lengths);

private:
    Dictionary<Token> dictionary_;
    std::vector<std::int32_t> hypothesis_;
    std::vector<std::int32_t> reference_;
    WideComparer<Token> wide_;
    NgramMatcher matcher_;
    LongestCommonSubsequence subsequence_;
};

}  // namespace m4i
