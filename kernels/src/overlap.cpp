#include "overlap.hpp"

#include <algorithm>
#include <cstdlib>

namespace m4i {
namespace {

constexpr std::uint32_t kLongestInLanes = 2048;  // reference tokens up to which the lanes' room stays small

}  // namespace

void Comparer::compare(const Text* texts, const std::uint32_t* sizes, std::size_t records, Columns columns) {
    std::size_t count = 0;
    for (std::size_t record = 0; record < records; ++record) count += sizes[record];
    tokens_.fill(texts, count);
    texts_.clear();
    for (std::size_t text = 0; text < count; ++text) texts_.push_back(tokens_.tokens(text));
    compare_texts(sizes, records, columns, [&](std::size_t, std::size_t text, std::size_t size) {
        apart_.fill_split_at_spaces(texts + text, size);
        for (std::size_t i = 0; i < size; ++i) apart_texts_.push_back(apart_.tokens(i));
    });
}

void Comparer::compare(const Text* hypotheses, std::size_t records, const Prepared& references, std::size_t first,
                       Columns columns) {
    const Numbers numbers{.find = &references.numbers()};
    tokens_.fill(hypotheses, records, numbers);
    texts_.clear();
    sizes_.clear();
    for (std::size_t record = 0; record < records; ++record) {
        texts_.push_back(tokens_.tokens(record));
        const std::size_t begin = references.first(first + record), size = references.size(first + record);
        for (std::size_t i = begin; i < begin + size; ++i) texts_.push_back(references.tokens(i));
        sizes_.push_back(static_cast<std::uint32_t>(size + 1));
    }
    compare_texts(sizes_.data(), records, columns, [&](std::size_t record, std::size_t, std::size_t size) {
        apart_.fill_split_at_spaces(hypotheses + record, 1, numbers);
        apart_texts_.push_back(apart_.tokens(0));
        const std::size_t begin = references.first(first + record);
        for (std::size_t i = begin; i + 1 < begin + size; ++i) apart_texts_.push_back(references.apart(i));
    });
}

// `apart(record, text, size)` puts what str.split(" ") gives for a record's texts into apart_texts_.
template <typename Apart>
void Comparer::compare_texts(const std::uint32_t* sizes, std::size_t records, Columns columns, Apart apart) {
    // Short pairs of all records go through the lanes together; the others one after the other.
    pairs_.clear();
    const Tokens* texts = texts_.data();
    for (std::size_t record = 0; record < records; texts += sizes[record++]) {
        const std::uint32_t length = texts->length;
        bool lanes = length <= kShort;
        for (std::size_t i = 1; i < sizes[record]; ++i) lanes &= texts[i].length <= kLongestInLanes;
        for (std::size_t i = 1; i < sizes[record]; ++i) {
            // A long pair keeps its place in the lanes, empty.
            pairs_.push_back({texts->keys, texts[i].keys, lanes ? length : 0, lanes ? texts[i].length : 0});
        }
    }
    compare_short(columns);

    texts = texts_.data();
    std::size_t pair = 0;
    for (std::size_t record = 0; record < records; ++record) {
        const std::size_t references = sizes[record] - 1;
        const auto length = static_cast<std::int32_t>(texts->length);
        Columns here = columns.from(record, pair);
        *here.hypothesis_length = *here.hypothesis_length_lcs = length;
        *here.best_matches = machine_.unite(used_.data() + pair, references);
        std::int32_t closest = 0;
        bool single = texts->single, lanes = texts->length <= kShort;
        for (std::size_t i = 0; i < references; ++i) {
            const auto other = static_cast<std::int32_t>(texts[1 + i].length);
            here.reference_length[i] = here.reference_length_lcs[i] = other;
            const std::int32_t distance = std::abs(other - length), before = std::abs(closest - length);
            if (i == 0 || distance < before || (distance == before && other < closest)) closest = other;
            single &= texts[1 + i].single;
            lanes &= texts[1 + i].length <= kLongestInLanes;
        }
        *here.closest_length = closest;
        if (!lanes) compare_long(texts, references, here);
        if (!single && tokeniser_ == Tokeniser::coco_space) {
            apart_texts_.clear();
            apart(record, static_cast<std::size_t>(texts - texts_.data()), references + 1);
            compare_apart(apart_texts_.data(), references, here);
        }
        texts += sizes[record];
        pair += references;
    }
}

void Comparer::compare_short(Columns columns) {
    used_.resize(pairs_.size());
    for (std::size_t first = 0; first < pairs_.size(); first += kLanes) {
        const std::size_t count = std::min(kLanes, pairs_.size() - first);
        std::size_t longest = 0;
        for (std::size_t i = 0; i < count; ++i) {
            longest = std::max<std::size_t>(longest, pairs_[first + i].reference_length);
        }
        if (room_.size() < kLanes * longest + kLanes) room_.resize(kLanes * longest + kLanes);
        // Aligned by hand: the vector's own memory need not be.
        const std::size_t skip = (64 - reinterpret_cast<std::uintptr_t>(room_.data()) % 64) % 64 / sizeof(std::uint64_t);
        machine_.compare(pairs_.data() + first, count, room_.data() + skip, columns.lcs + first,
                         columns.matches + first, used_.data() + first);
    }
}

void Comparer::compare_long(const Tokens* texts, std::size_t references, Columns columns) {
    dictionary_.fill(texts->keys, texts->length, hypothesis_);
    matcher_.prepare(hypothesis_, dictionary_.size());
    subsequence_.prepare(hypothesis_, dictionary_.size());
    for (std::size_t i = 0; i < references; ++i) {
        dictionary_.look_up(texts[1 + i].keys, texts[1 + i].length, reference_);
        columns.matches[i] = matcher_.match(reference_);
        columns.lcs[i] = subsequence_.length(reference_);
    }
    *columns.best_matches = matcher_.best();
}

// pycocoevalcap splits for ROUGE-L at single spaces, for BLEU at any run of white space.
void Comparer::compare_apart(const Tokens* texts, std::size_t references, Columns columns) {
    dictionary_.fill(texts->keys, texts->length, hypothesis_);
    subsequence_.prepare(hypothesis_, dictionary_.size());
    *columns.hypothesis_length_lcs = static_cast<std::int32_t>(texts->length);
    for (std::size_t i = 0; i < references; ++i) {
        dictionary_.look_up(texts[1 + i].keys, texts[1 + i].length, reference_);
        columns.lcs[i] = subsequence_.length(reference_);
        columns.reference_length_lcs[i] = static_cast<std::int32_t>(texts[1 + i].length);
    }
}

}  // namespace m4i
