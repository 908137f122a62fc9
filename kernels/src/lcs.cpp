#include "lcs.hpp"

#include <algorithm>
#include <bit>

namespace m4i {

void LongestCommonSubsequence::prepare(const std::vector<std::int32_t>& hypothesis, std::size_t distinct) {
    hypothesis_ = &hypothesis;
    positions_.assign(distinct, 0);
    if (hypothesis.size() > 64) return;
    for (std::size_t i = 0; i < hypothesis.size(); ++i) {
        positions_[static_cast<std::size_t>(hypothesis[i])] |= std::uint64_t{1} << i;
    }
}

std::int32_t LongestCommonSubsequence::length(const std::vector<std::int32_t>& reference) {
    return hypothesis_->size() <= 64 ? length_of_one_word(reference) : length_of_many_words(reference);
}

std::int32_t LongestCommonSubsequence::length_of_one_word(const std::vector<std::int32_t>& reference) const {
    std::uint64_t open = ~std::uint64_t{0};
    for (const std::int32_t token : reference) {
        if (token < 0) continue;
        const std::uint64_t hits = open & positions_[static_cast<std::size_t>(token)];
        open = (open + hits) | (open - hits);
    }
    return std::popcount(~open);
}

// Block by block of the hypothesis, the whole reference through each: memory stays linear however long the texts are.
std::int32_t LongestCommonSubsequence::length_of_many_words(const std::vector<std::int32_t>& reference) {
    carries_.assign(reference.size(), 0);
    const std::size_t length = hypothesis_->size();
    std::int32_t closed = 0;
    for (std::size_t begin = 0; begin < length; begin += 64) {
        const std::size_t end = std::min(begin + 64, length);
        for (std::size_t i = begin; i < end; ++i) {
            positions_[static_cast<std::size_t>((*hypothesis_)[i])] |= std::uint64_t{1} << (i - begin);
        }
        std::uint64_t open = ~std::uint64_t{0};
        for (std::size_t j = 0; j < reference.size(); ++j) {
            if (reference[j] < 0) continue;  // its carry is 0 in every block
            const std::uint64_t hits = open & positions_[static_cast<std::size_t>(reference[j])];
            const std::uint64_t sum = open + hits;
            const std::uint64_t carried = sum + carries_[j];
            carries_[j] = static_cast<std::uint8_t>((sum < open) | (carried < sum));
            open = carried | (open - hits);
        }
        closed += std::popcount(~open);
        for (std::size_t i = begin; i < end; ++i) positions_[static_cast<std::size_t>((*hypothesis_)[i])] = 0;
    }
    return closed;
}

}  // namespace m4i
