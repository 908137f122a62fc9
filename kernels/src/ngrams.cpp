#include "ngrams.hpp"

#include <algorithm>
#include <bit>

namespace m4i {
namespace {

constexpr std::uint64_t kNoEdge = ~std::uint64_t{0};

std::uint64_t edge_of(std::int32_t parent, std::int32_t token) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(parent)) << 32) | static_cast<std::uint32_t>(token);
}

}  // namespace

void NgramMatcher::prepare(const std::vector<std::int32_t>& hypothesis, std::size_t distinct) {
    const std::size_t length = hypothesis.size();
    const std::size_t capacity = std::bit_ceil(std::max<std::size_t>(16, 2 * (kOrders - 1) * length));
    shift_ = 64 - std::countr_zero(capacity);
    edges_.assign(capacity, kNoEdge);
    children_.resize(capacity);
    nodes_.assign(distinct, Node{0, 0, 0});  // node number of a single token = token number
    best_matches_ = {};
    for (std::size_t i = 0; i < length; ++i) {
        std::int32_t node = hypothesis[i];
        ++nodes_[static_cast<std::size_t>(node)].in_hypothesis;
        const std::size_t end = std::min(length, i + kOrders);
        for (std::size_t next = i + 1; next < end; ++next) {
            const std::uint64_t edge = edge_of(node, hypothesis[next]);
            const std::size_t slot = slot_of(edge);
            if (edges_[slot] == kNoEdge) {
                edges_[slot] = edge;
                children_[slot] = static_cast<std::int32_t>(nodes_.size());
                nodes_.push_back(Node{0, 0, 0});
            }
            node = children_[slot];
            ++nodes_[static_cast<std::size_t>(node)].in_hypothesis;
        }
    }
}

Matches NgramMatcher::match(const std::vector<std::int32_t>& reference) {
    Matches matches{};
    for (Node& node : nodes_) node.in_reference = 0;
    const auto count = [&](std::int32_t number, std::size_t order) {
        Node& node = nodes_[static_cast<std::size_t>(number)];
        if (node.in_reference == node.in_hypothesis) return;
        ++node.in_reference;
        ++matches.of[order];
        if (node.in_reference > node.in_best_reference) {
            node.in_best_reference = node.in_reference;
            ++best_matches_.of[order];
        }
    };
    for (std::size_t j = 0; j < reference.size(); ++j) {
        std::int32_t node = reference[j];
        if (node < 0) continue;
        count(node, 0);
        const std::size_t reach = std::min<std::size_t>(kOrders, reference.size() - j);
        for (std::size_t order = 1; order < reach; ++order) {
            if (reference[j + order] < 0) break;
            const std::size_t slot = slot_of(edge_of(node, reference[j + order]));
            if (edges_[slot] == kNoEdge) break;
            node = children_[slot];
            count(node, order);
        }
    }
    return matches;
}

std::size_t NgramMatcher::slot_of(std::uint64_t edge) const {
    const std::size_t mask = edges_.size() - 1;
    std::uint64_t hash = edge * 0x9E3779B97F4A7C15ull;
    hash = (hash ^ (hash >> 32)) * 0xD6E8FEB86659FD93ull;
    std::size_t slot = hash >> shift_;
    while (edges_[slot] != kNoEdge && edges_[slot] != edge) slot = (slot + 1) & mask;
    return slot;
}

}  // namespace m4i
