// Texts of some hundred tokens, reports say: a bit for each token of the hypothesis, in as many words as it takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine.hpp"

namespace m4i {

// What is counted between a hypothesis and one of its references.
struct Overlap {
    std::int32_t subsequence;
    Counts matches;
};

class WideComparer {
public:
    static constexpr std::size_t kMost = 1024;  // tokens of a hypothesis

    // `hypothesis`: numbers below `distinct`, at most kMost.
    void prepare(const std::vector<std::int32_t>& hypothesis, std::size_t distinct);

    // `reference`: numbers of the same dictionary, -1 for tokens that match nothing.
    Overlap compare(const std::vector<std::int32_t>& reference);

    // Matches clipped by the best of the references since prepare().
    const Counts& best() const { return best_; }

private:
    template <std::size_t kWords>
    Overlap compare_in(const std::vector<std::int32_t>& reference);
    std::int32_t match_single_tokens();

    std::size_t words_ = 1;
    std::vector<std::uint64_t> positions_;  // words_ a number: where it stands in the hypothesis; then words_ without a bit
    std::vector<std::uint64_t> best_taken_;  // n-grams of order 2 to kOrders taken by any reference
    std::vector<std::int32_t> in_hypothesis_, in_reference_, in_best_;  // by number: how often it stands there
    Counts best_{};
};

}  // namespace m4i
