#include "wide.hpp"

#include <algorithm>
#include <bit>

namespace m4i {
namespace {

constexpr std::size_t kBits = 64;

// Sizes that are compiled; a hypothesis takes the next one that holds it.
constexpr std::size_t kSizes[] = {1, 2, 3, 4, 5, 6, 8, 12, 16};

// Of the n-grams that end at `ends` the first that is not taken yet is taken; returns how many were.
template <std::size_t kWords>
std::int32_t take_first(const std::uint64_t* ends, std::uint64_t* taken) {
    for (std::size_t w = 0; w < kWords; ++w) {
        const std::uint64_t free = ends[w] & ~taken[w];
        if (free == 0) continue;
        taken[w] |= free & -free;
        return 1;
    }
    return 0;
}

// Where n-grams end whose first n - 1 tokens end at `before` and whose last stands at `hits`; whether any does.
template <std::size_t kWords>
bool longer_by_one(const std::uint64_t* before, const std::uint64_t* hits, std::uint64_t* ends) {
    std::uint64_t any = 0, carried = 0;
    for (std::size_t w = 0; w < kWords; ++w) {
        ends[w] = ((before[w] << 1) | carried) & hits[w];
        carried = before[w] >> (kBits - 1);
        any |= ends[w];
    }
    return any != 0;
}

}  // namespace

void WideComparer::prepare(const std::vector<std::int32_t>& hypothesis, std::size_t distinct) {
    const std::size_t needed = (hypothesis.size() + kBits - 1) / kBits;
    words_ = *std::lower_bound(std::begin(kSizes), std::end(kSizes), needed);
    positions_.assign((distinct + 1) * words_, 0);
    in_hypothesis_.assign(distinct, 0);
    in_best_.assign(distinct, 0);
    best_taken_.assign((kOrders - 1) * words_, 0);
    best_ = {};
    for (std::size_t i = 0; i < hypothesis.size(); ++i) {
        const auto number = static_cast<std::size_t>(hypothesis[i]);
        positions_[number * words_ + i / kBits] |= std::uint64_t{1} << (i % kBits);
        ++in_hypothesis_[number];
    }
}

Overlap WideComparer::compare(const std::vector<std::int32_t>& reference) {
    switch (words_) {
        case 1: return compare_in<1>(reference);
        case 2: return compare_in<2>(reference);
        case 3: return compare_in<3>(reference);
        case 4: return compare_in<4>(reference);
        case 5: return compare_in<5>(reference);
        case 6: return compare_in<6>(reference);
        case 8: return compare_in<8>(reference);
        case 12: return compare_in<12>(reference);
        default: return compare_in<16>(reference);
    }
}

// The subsequence as in lcs.hpp, the n-grams as in machine.hpp, word by word.
template <std::size_t kWords>
Overlap WideComparer::compare_in(const std::vector<std::int32_t>& reference) {
    const std::uint64_t* const nowhere = positions_.data() + in_hypothesis_.size() * kWords;
    std::uint64_t open[kWords];
    std::fill_n(open, kWords, ~std::uint64_t{0});
    std::uint64_t taken[kOrders - 1][kWords] = {};
    std::uint64_t twos[kWords], threes[kWords], next[kWords];  // where n-grams end that the reference has just ended
    const std::uint64_t* ones = nowhere;
    bool any_twos = false, any_threes = false;
    Overlap found{};
    in_reference_.assign(in_hypothesis_.size(), 0);
    for (const std::int32_t token : reference) {
        if (token < 0) {
            ones = nowhere;
            any_twos = any_threes = false;
            continue;
        }
        const auto number = static_cast<std::size_t>(token);
        ++in_reference_[number];
        const std::uint64_t* const hits = positions_.data() + number * kWords;
        bool carry = false;
        for (std::size_t w = 0; w < kWords; ++w) {
            const std::uint64_t hit = open[w] & hits[w];
            std::uint64_t sum;
            const bool over = __builtin_add_overflow(open[w], hit, &sum);
            carry = __builtin_add_overflow(sum, std::uint64_t{carry}, &sum) || over;
            open[w] = sum | (open[w] & ~hits[w]);
        }
        if (!longer_by_one<kWords>(ones, hits, next)) {
            any_twos = any_threes = false;
        } else {
            found.matches.of[1] += take_first<kWords>(next, taken[0]);
            std::uint64_t ends[kWords];
            const bool three = any_twos && longer_by_one<kWords>(twos, hits, ends);
            if (three) {
                found.matches.of[2] += take_first<kWords>(ends, taken[1]);
                std::uint64_t fours[kWords];
                if (any_threes && longer_by_one<kWords>(threes, hits, fours)) {
                    found.matches.of[3] += take_first<kWords>(fours, taken[2]);
                }
                std::copy_n(ends, kWords, threes);
            }
            std::copy_n(next, kWords, twos);
            any_twos = true;
            any_threes = three;
        }
        ones = hits;
    }
    for (const std::uint64_t word : open) found.subsequence += std::popcount(~word);
    found.matches.of[0] = match_single_tokens();
    for (int n = 1; n < kOrders; ++n) {
        std::uint64_t* const best = best_taken_.data() + static_cast<std::size_t>(n - 1) * kWords;
        best_.of[n] = 0;
        for (std::size_t w = 0; w < kWords; ++w) {
            best[w] |= taken[n - 1][w];
            best_.of[n] += std::popcount(best[w]);
        }
    }
    return found;
}

std::int32_t WideComparer::match_single_tokens() {
    std::int32_t matches = 0, best = 0;
    for (std::size_t number = 0; number < in_hypothesis_.size(); ++number) {
        const std::int32_t shared = std::min(in_hypothesis_[number], in_reference_[number]);
        matches += shared;
        in_best_[number] = std::max(in_best_[number], shared);
        best += in_best_[number];
    }
    best_.of[0] = best;
    return matches;
}

}  // namespace m4i
