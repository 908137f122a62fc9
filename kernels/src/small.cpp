#include "small.hpp"

#include <algorithm>
#include <limits>

namespace m4i {
namespace {

constexpr std::int64_t kFarthest = std::numeric_limits<std::uint32_t>::max() - 4096;

}  // namespace

// Lists the records that are too long for lanes.
void SmallComparer::leave_out(SmallRecords& records) {
    long_.clear();
    records.left_out = nullptr;
    // The bits that any length has; a number with the same bits or more is not below the longest.
    const auto bits = [](const SmallTexts& texts, std::int64_t first, std::int64_t last) {
        std::int64_t all = 0;
        for (std::int64_t i = first; i < last; ++i) all |= texts.offsets[i + 1] - texts.offsets[i];
        return static_cast<std::uint32_t>(all);
    };
    const auto tokens = [](const SmallTexts& texts, std::int64_t last) { return texts.offsets[last] - texts.base; };
    const auto count = static_cast<std::int64_t>(records.count);
    const std::int64_t* const rows = records.rows;
    // Lanes know a text by its distance, in 32 bits, from the first.
    const bool near = std::max(tokens(records.hypotheses, count), tokens(records.references, rows[count])) <= kFarthest &&
                      rows[count] - rows[0] <= kFarthest;
    if (near && fits_lanes(bits(records.hypotheses, 0, count), bits(records.references, rows[0], rows[count]))) return;
    left_out_.assign(records.count, 0);
    for (std::int64_t i = 0; i < count; ++i) {
        std::uint32_t longest = 0;
        for (std::int64_t j = rows[i]; j < rows[i + 1]; ++j) longest = std::max(longest, records.references.length(j));
        if (near && fits_lanes(records.hypotheses.length(i), longest)) continue;
        left_out_[static_cast<std::size_t>(i)] = 1;
        long_.push_back(static_cast<std::size_t>(i));
    }
    records.left_out = left_out_.data();
}

const TokensOf<Small>* SmallComparer::texts(const SmallRecords& records, std::size_t record) {
    const auto add = [&](const SmallTexts& texts, std::int64_t i) { texts_.push_back({texts.begin(i), texts.length(i), true}); };
    texts_.clear();
    add(records.hypotheses, static_cast<std::int64_t>(record));
    for (std::int64_t i = records.rows[record]; i < records.rows[record + 1]; ++i) add(records.references, i);
    return texts_.data();
}

void SmallComparer::compare(SmallRecords records, Columns columns) {
    leave_out(records);
    taken_.assign(records.count, Used{});
    machine_.compare_small(records, {columns.lcs, columns.matches, taken_.data()});

    const std::int64_t first = records.rows[0], last = records.rows[records.count];
    for (std::int64_t i = first; i < last; ++i) {
        columns.reference_length[i - first] = columns.reference_length_lcs[i - first] =
            static_cast<std::int32_t>(records.references.length(i));
    }
    for (std::size_t record = 0; record < records.count; ++record) {
        const std::uint32_t length = records.hypotheses.length(static_cast<std::int64_t>(record));
        columns.hypothesis_length[record] = columns.hypothesis_length_lcs[record] = static_cast<std::int32_t>(length);
        columns.best_matches[record] = machine_.unite(taken_.data() + record, 1);
        Closest closest(length);
        for (std::int64_t i = records.rows[record]; i < records.rows[record + 1]; ++i) {
            closest.offer(records.references.length(i));
        }
        columns.closest_length[record] = closest.length();
    }
    for (const std::size_t record : long_) {
        const auto pair = static_cast<std::size_t>(records.rows[record] - first);
        const auto references = static_cast<std::size_t>(records.rows[record + 1] - records.rows[record]);
        alone_.compare(texts(records, record), references, columns.from(record, pair));
    }
}

void SmallComparer::subsequences(SmallRecords records, std::int32_t* lengths) {
    leave_out(records);
    machine_.subsequences_small(records, {lengths, nullptr, nullptr});
    for (const std::size_t record : long_) {
        const auto references = static_cast<std::size_t>(records.rows[record + 1] - records.rows[record]);
        alone_.subsequences(texts(records, record), references, lengths + (records.rows[record] - records.rows[0]));
    }
}

}  // namespace m4i
