// Records, each a hypothesis and its references, compared: short pairs of many records side by side, long ones one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "long.hpp"
#include "machine.hpp"
#include "tokens.hpp"

namespace m4i {

// `Token`: Key or Id.
template <typename Token>
class RecordComparer {
public:
    explicit RecordComparer(const Machine& machine) : machine_(machine), alone_(machine) {}

    // `texts`: each record's hypothesis, then its references; `sizes`: texts of each record, at least one.
    void compare(const TokensOf<Token>* texts, const std::uint32_t* sizes, std::size_t records, Columns columns);

    // Takes the subsequence of one record again, of other tokens: pycocoevalcap splits for ROUGE-L at single spaces, for
    // BLEU at any run of white space.
    void compare_apart(const TokensOf<Token>* texts, std::size_t references, Columns columns);

    // Lengths of the longest common subsequences alone, one a pair.
    void subsequences(const TokensOf<Token>* texts, const std::uint32_t* sizes, std::size_t records,
                      std::int32_t* lengths);

private:
    bool pair_up(const TokensOf<Token>* texts, std::size_t size);
    std::uint64_t* room();

    const Machine& machine_;
    std::vector<PairOf<Token>> pairs_;
    std::size_t longest_ = 0;  // reference in pairs_, or in those before
    std::vector<Used> used_;
    std::vector<std::uint64_t> room_;
    std::vector<std::size_t> long_;  // records
    LongComparer<Token> alone_;
};

}  // namespace m4i
