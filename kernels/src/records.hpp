// Records, each a hypothesis and its references, compared: short pairs of many records side by side, long ones one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lcs.hpp"
#include "machine.hpp"
#include "ngrams.hpp"
#include "tokens.hpp"
#include "wide.hpp"

namespace m4i {

inline constexpr std::uint32_t kLongestInLanes = 2048;  // reference tokens up to which the lanes' room stays small

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

// `Token`: Key, Id or Small.
template <typename Token>
class RecordComparer {
public:
    explicit RecordComparer(const Machine& machine) : machine_(machine) {}

    // `texts`: each record's hypothesis, then its references; `sizes`: texts of each record, at least one.
    void compare(const TokensOf<Token>* texts, const std::uint32_t* sizes, std::size_t records, Columns columns);

    // Takes the subsequence of one record again, of other tokens: pycocoevalcap splits for ROUGE-L at single spaces, for
    // BLEU at any run of white space.
    void compare_apart(const TokensOf<Token>* texts, std::size_t references, Columns columns);

    // Lengths of the longest common subsequences alone, one a pair.
    void subsequences(const TokensOf<Token>* texts, const std::uint32_t* sizes, std::size_t records,
                      std::int32_t* lengths);

private:
    void compare_short(Columns columns);
    std::uint64_t* room();
    void compare_long(const TokensOf<Token>* texts, std::size_t references, Columns columns);
    bool pair_up(const TokensOf<Token>* texts, std::size_t size);

    const Machine& machine_;
    std::vector<PairOf<Token>> pairs_;
    std::size_t longest_ = 0;  // reference in pairs_, or in those before
    std::vector<Used> used_;
    std::vector<std::uint64_t> room_;

    // Records with long texts.
    Dictionary<Token> dictionary_;
    std::vector<std::int32_t> hypothesis_;
    std::vector<std::int32_t> reference_;
    WideComparer wide_;
    NgramMatcher matcher_;
    LongestCommonSubsequence subsequence_;
};

}  // namespace m4i
