#include "records.hpp"

#include <algorithm>
#include <cstdlib>
#include <type_traits>

namespace m4i {

// Puts a record's pairs into pairs_; a record that is too long keeps its places, empty. Returns whether it was short.
template <typename Token>
bool RecordComparer<Token>::pair_up(const TokensOf<Token>* texts, std::size_t size) {
    const std::uint32_t length = texts->length;
    std::uint32_t longest = 0;
    for (std::size_t i = 1; i < size; ++i) longest = std::max(longest, texts[i].length);
    const bool lanes = length <= kShort && longest <= kLongestInLanes;
    const std::size_t before = pairs_.size();
    pairs_.resize(before + size - 1);
    PairOf<Token>* const pairs = pairs_.data() + before;
    for (std::size_t i = 1; i < size; ++i) {
        pairs[i - 1] = {texts->keys, texts[i].keys, lanes ? length : 0, lanes ? texts[i].length : 0};
    }
    if (lanes) longest_ = std::max<std::size_t>(longest_, longest);
    return lanes;
}

template <typename Token>
void RecordComparer<Token>::compare(const TokensOf<Token>* texts, const std::uint32_t* sizes, std::size_t records,
                                    Columns columns) {
    pairs_.clear();
    const TokensOf<Token>* at = texts;
    for (std::size_t record = 0; record < records; at += sizes[record++]) pair_up(at, sizes[record]);
    compare_short(columns);

    std::size_t pair = 0;
    for (std::size_t record = 0; record < records; ++record) {
        const std::size_t references = sizes[record] - 1;
        const auto length = static_cast<std::int32_t>(texts->length);
        Columns here = columns.from(record, pair);
        *here.hypothesis_length = *here.hypothesis_length_lcs = length;
        *here.best_matches = machine_.unite(used_.data() + pair, references);
        std::int32_t closest = 0;
        bool lanes = texts->length <= kShort;
        for (std::size_t i = 0; i < references; ++i) {
            const auto other = static_cast<std::int32_t>(texts[1 + i].length);
            here.reference_length[i] = here.reference_length_lcs[i] = other;
            const std::int32_t distance = std::abs(other - length), before = std::abs(closest - length);
            if (i == 0 || distance < before || (distance == before && other < closest)) closest = other;
            lanes &= texts[1 + i].length <= kLongestInLanes;
        }
        *here.closest_length = closest;
        if (!lanes) compare_long(texts, references, here);
        texts += sizes[record];
        pair += references;
    }
}

template <typename Token>
void RecordComparer<Token>::compare_short(Columns columns) {
    used_.resize(pairs_.size());
    const auto compare = [&] {
        if constexpr (std::is_same_v<Token, Key>) {
            return machine_.compare;
        } else if constexpr (std::is_same_v<Token, Id>) {
            return machine_.compare_ids;
        } else {
            return machine_.compare_small;
        }
    }();
    compare(pairs_.data(), pairs_.size(), room(), columns.lcs, columns.matches, used_.data());
}

// Rows for the longest reference in pairs_.
template <typename Token>
std::uint64_t* RecordComparer<Token>::room() {
    if (room_.size() < kRow * (longest_ + 1)) room_.resize(kRow * (longest_ + 1));
    // Aligned by hand: the vector's own memory need not be.
    return room_.data() + (64 - reinterpret_cast<std::uintptr_t>(room_.data()) % 64) % 64 / sizeof(std::uint64_t);
}

template <typename Token>
void RecordComparer<Token>::compare_long(const TokensOf<Token>* texts, std::size_t references, Columns columns) {
    dictionary_.fill(texts->keys, texts->length, hypothesis_);
    const auto compare_each = [&](auto compare) {
        for (std::size_t i = 0; i < references; ++i) {
            dictionary_.look_up(texts[1 + i].keys, texts[1 + i].length, reference_);
            const Overlap found = compare();
            columns.matches[i] = found.matches;
            columns.lcs[i] = found.subsequence;
        }
    };
    if (hypothesis_.size() <= WideComparer::kMost) {
        wide_.prepare(hypothesis_, dictionary_.size());
        compare_each([&] { return wide_.compare(reference_); });
        *columns.best_matches = wide_.best();
    } else {
        matcher_.prepare(hypothesis_, dictionary_.size());
        subsequence_.prepare(hypothesis_, dictionary_.size());
        compare_each([&] { return Overlap{subsequence_.length(reference_), matcher_.match(reference_)}; });
        *columns.best_matches = matcher_.best();
    }
}

template <typename Token>
void RecordComparer<Token>::compare_apart(const TokensOf<Token>* texts, std::size_t references, Columns columns) {
    dictionary_.fill(texts->keys, texts->length, hypothesis_);
    subsequence_.prepare(hypothesis_, dictionary_.size());
    *columns.hypothesis_length_lcs = static_cast<std::int32_t>(texts->length);
    for (std::size_t i = 0; i < references; ++i) {
        dictionary_.look_up(texts[1 + i].keys, texts[1 + i].length, reference_);
        columns.lcs[i] = subsequence_.length(reference_);
        columns.reference_length_lcs[i] = static_cast<std::int32_t>(texts[1 + i].length);
    }
}

template <typename Token>
void RecordComparer<Token>::subsequences(const TokensOf<Token>* texts, const std::uint32_t* sizes, std::size_t records,
                                         std::int32_t* lengths) {
    if constexpr (!std::is_same_v<Token, Key>) {
        pairs_.clear();
        std::size_t others = 0;
        const TokensOf<Token>* at = texts;
        for (std::size_t record = 0; record < records; at += sizes[record++]) others += !pair_up(at, sizes[record]);
        if constexpr (std::is_same_v<Token, Id>) {
            machine_.subsequences(pairs_.data(), pairs_.size(), room(), lengths);
        } else {
            machine_.subsequences_small(pairs_.data(), pairs_.size(), room(), lengths);
        }
        for (std::size_t record = 0; others > 0 && record < records; texts += sizes[record++]) {
            const std::size_t size = sizes[record];
            bool lanes = texts->length <= kShort;
            for (std::size_t i = 1; i < size; ++i) lanes &= texts[i].length <= kLongestInLanes;
            if (!lanes) {
                dictionary_.fill(texts->keys, texts->length, hypothesis_);
                subsequence_.prepare(hypothesis_, dictionary_.size());
                for (std::size_t i = 1; i < size; ++i) {
                    dictionary_.look_up(texts[i].keys, texts[i].length, reference_);
                    lengths[i - 1] = subsequence_.length(reference_);
                }
            }
            lengths += size - 1;
        }
    }
}

template class RecordComparer<Key>;
template class RecordComparer<Id>;
template class RecordComparer<Small>;

}  // namespace m4i
