// Integer statistics of hypotheses against their references: all that ROUGE and BLEU are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lcs.hpp"
#include "ngrams.hpp"
#include "tokens.hpp"

namespace m4i {

// One array a column; pairs in the order of the records, references within a record in their own order.
struct Columns {
    // A row a record.
    std::vector<std::int64_t> offsets{0};  // the pairs of record i are offsets[i] .. offsets[i + 1]
    std::vector<std::int32_t> hypothesis_length;
    std::vector<std::int32_t> hypothesis_length_lcs;
    std::vector<std::int32_t> best_matches;  // kOrders a record
    std::vector<std::int32_t> closest_length;
    // A row a pair.
    std::vector<std::int32_t> lcs;
    std::vector<std::int32_t> matches;  // kOrders a pair
    std::vector<std::int32_t> reference_length;
    std::vector<std::int32_t> reference_length_lcs;
};

class Comparer {
public:
    explicit Comparer(Tokeniser tokeniser) : tokeniser_(tokeniser) {}

    // Add one record: `texts` holds the hypothesis and then its references. The texts may be lower-cased in place.
    void compare(const Text* texts, std::size_t count, Columns& columns);

private:
    // What one stream of tokens needs; the second is used only where the two streams differ.
    struct Side {
        std::vector<Token> tokens;
        Dictionary dictionary;
        std::vector<std::int32_t> hypothesis;
        std::vector<std::int32_t> reference;
    };

    Tokeniser tokeniser_;
    Side ngrams_;
    Side spaces_;
    NgramMatcher matcher_;
    LongestCommonSubsequence subsequence_;
};

}  // namespace m4i
