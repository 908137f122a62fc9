// Length of the longest common subsequence, bit-parallel.
//
// Allison and Dix (1986), in the form of Hyyro (2004): V = (V + (V & M)) | (V & ~M), where M marks the positions of one
// reference token in the hypothesis; each bit of V that fell to 0 is one step of the common subsequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace m4i {

class LongestCommonSubsequence {
public:
    // `hypothesis`: numbers below `distinct`, kept by reference until the next call.
    void prepare(const std::vector<std::int32_t>& hypothesis, std::size_t distinct);

    // `reference`: numbers of the same dictionary, -1 for tokens that match nothing.
    std::int32_t length(const std::vector<std::int32_t>& reference);

private:
    std::int32_t length_of_one_word(const std::vector<std::int32_t>& reference) const;
    std::int32_t length_of_many_words(const std::vector<std::int32_t>& reference);

    const std::vector<std::int32_t>* hypothesis_ = nullptr;
    std::vector<std::uint64_t> positions_;  // by token number: the bits where it stands in the hypothesis
    std::vector<std::uint8_t> carries_;     // by reference position: the carry from one 64-token block to the next
};

}  // namespace m4i
