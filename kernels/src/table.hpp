// The arrays of OverlapStatistics while they are made: batches are counted where they come to stand, by any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "column.hpp"
#include "long.hpp"
#include "python.hpp"

namespace m4i::python {

class Table {
public:
    explicit Table(std::size_t records)
        : records_(records), offsets_(records + 1), hypothesis_length_(records), hypothesis_length_lcs_(records),
          closest_length_(records), best_matches_(records) {
        offsets_.data()[0] = 0;
    }

    // `count(columns)` for records `first` and following, with these numbers of texts, whose pairs begin at `pair`.
    template <typename Count>
    void fill(std::size_t first, std::size_t pair, const std::vector<std::uint32_t>& sizes, Count count) {
        std::size_t end = pair;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            end += sizes[i] - 1;
            offsets_.data()[first + i + 1] = static_cast<std::int64_t>(end);
        }
        std::shared_lock lock(growing_);
        while (end > room_) {
            lock.unlock();
            grow(end, first + sizes.size());
            lock.lock();
        }
        const Columns here = columns().from(first, pair);
        here.fetch(sizes.size(), end - pair);
        count(here);
    }

    // When all is counted.
    nb::dict arrays() {
        const auto pairs = static_cast<std::size_t>(offsets_.data()[records_]);
        resize(pairs);
        nb::dict arrays;
        arrays["offsets"] = array_of(std::move(offsets_), {records_ + 1});
        arrays["hypothesis_length"] = array_of(std::move(hypothesis_length_), {records_});
        arrays["hypothesis_length_lcs"] = array_of(std::move(hypothesis_length_lcs_), {records_});
        arrays["best_matches"] = array_of(std::move(best_matches_), {records_, kOrders});
        arrays["closest_length"] = array_of(std::move(closest_length_), {records_});
        arrays["lcs"] = array_of(std::move(lcs_), {pairs});
        arrays["matches"] = array_of(std::move(matches_), {pairs, kOrders});
        arrays["reference_length"] = array_of(std::move(reference_length_), {pairs});
        arrays["reference_length_lcs"] = array_of(std::move(reference_length_lcs_), {pairs});
        return arrays;
    }

private:
    static constexpr std::size_t kMostExpected = std::size_t{1} << 25;  // pairs: the first records may be unlike all others

    Columns columns() {
        return {hypothesis_length_.data(), hypothesis_length_lcs_.data(), best_matches_.data(),
                closest_length_.data(),    lcs_.data(),                   matches_.data(),
                reference_length_.data(),  reference_length_lcs_.data()};
    }

    // Room for `needed` pairs, as many as the first `here` records have, and for as many as all are then expected to have.
    void grow(std::size_t needed, std::size_t here) {
        const std::lock_guard lock(growing_);
        if (needed <= room_) return;
        const std::size_t expected = std::min(needed * records_ / here + needed / here + 1, kMostExpected);
        resize(std::max({needed, expected, room_ + room_ / 2}));
    }

    void resize(std::size_t pairs) {
        for (auto* const column : {&lcs_, &reference_length_, &reference_length_lcs_}) column->resize(pairs);
        matches_.resize(pairs);
        room_ = pairs;
    }

    const std::size_t records_;
    Column<std::int64_t> offsets_;
    Column<std::int32_t> hypothesis_length_, hypothesis_length_lcs_, closest_length_;
    Column<Counts> best_matches_;
    std::shared_mutex growing_;  // shared by those that write pairs, whose memory then stays where it is
    std::size_t room_ = 0;       // pairs
    Column<std::int32_t> lcs_, reference_length_, reference_length_lcs_;
    Column<Counts> matches_;
};

}  // namespace m4i::python
