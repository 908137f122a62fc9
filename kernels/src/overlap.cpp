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

    // Short pairs of all records go through the lanes together; the others one after the other.
    pairs_.clear();
    std::size_t text = 0;
    for (std::size_t record = 0; record < records; text += sizes[record++]) {
        const std::uint32_t length = tokens_.length(text);
        bool lanes = length <= kShort;
        for (std::size_t i = 1; i < sizes[record]; ++i) lanes &= tokens_.length(text + i) <= kLongestInLanes;
        for (std::size_t i = 1; i < sizes[record]; ++i) {
            // A long pair keeps its place in the lanes, empty.
            pairs_.push_back({tokens_.keys(text), tokens_.keys(text + i), lanes ? length : 0,
                              lanes ? tokens_.length(text + i) : 0});
        }
    }
    compare_short(columns);

    text = 0;
    std::size_t pair = 0;
    for (std::size_t record = 0; record < records; ++record) {
        const std::size_t references = sizes[record] - 1;
        const auto length = static_cast<std::int32_t>(tokens_.length(text));
        Columns here = columns.from(record, pair);
        *here.hypothesis_length = *here.hypothesis_length_lcs = length;
        *here.best_matches = machine_.unite(used_.data() + pair, references);
        std::int32_t closest = 0;
        bool single = tokens_.single_spaced(text), lanes = tokens_.length(text) <= kShort;
        for (std::size_t i = 0; i < references; ++i) {
            const auto other = static_cast<std::int32_t>(tokens_.length(text + 1 + i));
            here.reference_length[i] = here.reference_length_lcs[i] = other;
            const std::int32_t distance = std::abs(other - length), before = std::abs(closest - length);
            if (i == 0 || distance < before || (distance == before && other < closest)) closest = other;
            single &= tokens_.single_spaced(text + 1 + i);
            lanes &= tokens_.length(text + 1 + i) <= kLongestInLanes;
        }
        *here.closest_length = closest;
        if (!lanes) compare_long(text, references, here);
        if (!single && tokeniser_ == Tokeniser::coco_space) compare_apart(texts + text, references, here);
        text += sizes[record];
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

void Comparer::compare_long(std::size_t first_text, std::size_t references, Columns columns) {
    dictionary_.fill(tokens_.keys(first_text), tokens_.length(first_text), hypothesis_);
    matcher_.prepare(hypothesis_, dictionary_.size());
    subsequence_.prepare(hypothesis_, dictionary_.size());
    for (std::size_t i = 0; i < references; ++i) {
        dictionary_.look_up(tokens_.keys(first_text + 1 + i), tokens_.length(first_text + 1 + i), reference_);
        columns.matches[i] = matcher_.match(reference_);
        columns.lcs[i] = subsequence_.length(reference_);
    }
    *columns.best_matches = matcher_.best();
}

// pycocoevalcap splits for ROUGE-L at single spaces, for BLEU at any run of white space.
void Comparer::compare_apart(const Text* texts, std::size_t references, Columns columns) {
    apart_.fill_split_at_spaces(texts, references + 1);
    dictionary_.fill(apart_.keys(0), apart_.length(0), hypothesis_);
    subsequence_.prepare(hypothesis_, dictionary_.size());
    *columns.hypothesis_length_lcs = static_cast<std::int32_t>(apart_.length(0));
    for (std::size_t i = 0; i < references; ++i) {
        dictionary_.look_up(apart_.keys(1 + i), apart_.length(1 + i), reference_);
        columns.lcs[i] = subsequence_.length(reference_);
        columns.reference_length_lcs[i] = static_cast<std::int32_t>(apart_.length(1 + i));
    }
}

}  // namespace m4i
