// Clipped n-gram matches for n = 1..4, in time linear in the tokens.
//
// The n-grams of the hypothesis are the nodes of a trie of depth four. A reference walks down it from each of its
// positions and leaves as soon as nothing matches, so most walks end at the first step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine.hpp"

namespace m4i {

using Matches = Counts;

class NgramMatcher {
public:
    // Build the trie; `hypothesis` holds numbers below `distinct`.
    void prepare(const std::vector<std::int32_t>& hypothesis, std::size_t distinct);

    // Sum over n-grams of min(count in hypothesis, count in this reference), for each n.
    Matches match(const std::vector<std::int32_t>& reference);

    // The same against the largest count over all references matched since prepare(): BLEU's clipping.
    const Matches& best() const { return best_matches_; }

private:
    struct Node {
        std::int32_t in_hypothesis;
        std::int32_t in_reference;
        std::int32_t in_best_reference;
    };

    std::size_t slot_of(std::uint64_t edge) const;

    std::vector<Node> nodes_;
    std::vector<std::uint64_t> edges_;    // hash table: parent node and token, packed; its children beside it
    std::vector<std::int32_t> children_;
    int shift_ = 0;
    Matches best_matches_{};
};

}  // namespace m4i
