#include "records.hpp"

#include <algorithm>
#include <type_traits>

namespace m4i {

// Puts a record's pairs into pairs_; a record that is too long keeps its places, empty. Returns whether it was short.
template <typename Token>
bool RecordComparer<Token>::pair_up(const TokensOf<Token>* texts, std::size_t size) {
    const std::uint32_t length = texts->length;
    std::uint32_t longest = 0;
    for (std::size_t i = 1; i < size; ++i) longest = std::max(longest, texts[i].length);
    const bool lanes = fits_lanes(length, longest);
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
    long_.clear();
    const TokensOf<Token>* at = texts;
    for (std::size_t record = 0; record < records; at += sizes[record++]) {
        if (!pair_up(at, sizes[record])) long_.push_back(record);
    }
    used_.resize(pairs_.size());
    if (long_.size() < records) {  // of reports all are long
        if constexpr (std::is_same_v<Token, Key>) {
            machine_.compare(pairs_.data(), pairs_.size(), room(), columns.lcs, columns.matches, used_.data());
        } else {
            machine_.compare_ids(pairs_.data(), pairs_.size(), room(), columns.lcs, columns.matches, used_.data());
        }
    }

    std::size_t pair = 0;
    auto next_long = long_.begin();
    for (std::size_t record = 0; record < records; ++record) {
        const std::size_t references = sizes[record] - 1;
        Columns here = columns.from(record, pair);
        *here.hypothesis_length = *here.hypothesis_length_lcs = static_cast<std::int32_t>(texts->length);
        Closest closest(texts->length);
        for (std::size_t i = 0; i < references; ++i) {
            const std::uint32_t other = texts[1 + i].length;
            here.reference_length[i] = here.reference_length_lcs[i] = static_cast<std::int32_t>(other);
            closest.offer(other);
        }
        *here.closest_length = closest.length();
        if (next_long != long_.end() && *next_long == record) {
            alone_.compare(texts, references, here);
            ++next_long;
        } else {
            *here.best_matches = machine_.unite(used_.data() + pair, references);
        }
        texts += sizes[record];
        pair += references;
    }
}

// Rows for the longest reference in pairs_.
template <typename Token>
std::uint64_t* RecordComparer<Token>::room() {
    if (room_.size() < kRow * (longest_ + 1)) room_.resize(kRow * (longest_ + 1));
    // Aligned by hand: the vector's own memory need not be.
    return room_.data() + (64 - reinterpret_cast<std::uintptr_t>(room_.data()) % 64) % 64 / sizeof(std::uint64_t);
}

template <typename Token>
void RecordComparer<Token>::compare_apart(const TokensOf<Token>* texts, std::size_t references, Columns columns) {
    *columns.hypothesis_length_lcs = static_cast<std::int32_t>(texts->length);
    alone_.subsequences(texts, references, columns.lcs);
    for (std::size_t i = 0; i < references; ++i) {
        columns.reference_length_lcs[i] = static_cast<std::int32_t>(texts[1 + i].length);
    }
}

template <typename Token>
void RecordComparer<Token>::subsequences(const TokensOf<Token>* texts, const std::uint32_t* sizes, std::size_t records,
                                         std::int32_t* lengths) {
    if constexpr (std::is_same_v<Token, Id>) {
        pairs_.clear();
        long_.clear();
        const TokensOf<Token>* at = texts;
        for (std::size_t record = 0; record < records; at += sizes[record++]) {
            if (!pair_up(at, sizes[record])) long_.push_back(record);
        }
        machine_.subsequences(pairs_.data(), pairs_.size(), room(), lengths);
        std::size_t record = 0;
        for (const std::size_t each : long_) {
            for (; record < each; ++record) {
                texts += sizes[record];
                lengths += sizes[record] - 1;
            }
            alone_.subsequences(texts, sizes[record] - 1, lengths);
        }
    }
}

template class RecordComparer<Key>;
template class RecordComparer<Id>;

}  // namespace m4i
