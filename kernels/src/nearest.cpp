#include "nearest.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace m4i {
namespace {

constexpr std::size_t kWord = 64;

// As rouge-score: precision, recall, and then 2PR / (P + R) in this order of operations.
double f1(std::int32_t matched, std::uint32_t guessed, std::uint32_t wanted) {
    if (matched == 0) return 0.0;
    const double precision = matched / static_cast<double>(guessed), recall = matched / static_cast<double>(wanted);
    return 2 * precision * recall / (precision + recall);
}

}  // namespace

Candidates::Candidates(IdTexts texts, std::size_t vocabulary)
    : texts_(texts), order_(texts.count), vocabulary_(vocabulary) {
    std::iota(order_.begin(), order_.end(), std::uint32_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return texts.length(a) < texts.length(b); });
    for (std::size_t at = 0; at < order_.size(); ++at) {
        const std::uint32_t length = texts.length(order_[at]);
        if (groups_.empty() || groups_.back().length != length) groups_.push_back({length, at, at});
        groups_.back().last = at + 1;
    }
}

Searcher::Searcher(const Candidates& candidates, Measure measure)
    : candidates_(candidates), measure_(measure), positions_(candidates.vocabulary(), 0),
      number_(candidates.vocabulary(), -1) {}

void Searcher::open(const Id* hypothesis, std::uint32_t length) {
    hypothesis_.assign(hypothesis, hypothesis + length);
    if (length <= kWord) {
        for (std::uint32_t i = 0; i < length; ++i) {
            positions_[static_cast<std::size_t>(hypothesis[i])] |= std::uint64_t{1} << i;
        }
        return;
    }
    numbered_.clear();
    times_.clear();
    for (const Id id : hypothesis_) {
        std::int32_t& number = number_[static_cast<std::size_t>(id)];
        if (number < 0) {
            number = static_cast<std::int32_t>(times_.size());
            times_.push_back(0);
        }
        numbered_.push_back(number);
        ++times_[static_cast<std::size_t>(number)];
    }
    subsequence_.prepare(numbered_, times_.size());
}

void Searcher::close() {
    for (const Id id : hypothesis_) {
        positions_[static_cast<std::size_t>(id)] = 0;
        number_[static_cast<std::size_t>(id)] = -1;
    }
}

std::int32_t Searcher::count(std::size_t candidate, std::uint32_t length) {
    if (hypothesis_.size() > kWord) return count_long(candidate);
    const Id* const ids = candidates_.texts().begin(candidate);
    if (measure_ == Measure::unigrams) {
        std::uint64_t used = 0;
        for (std::uint32_t j = 0; j < length; ++j) {
            const std::uint64_t free = positions_[static_cast<std::size_t>(ids[j])] & ~used;
            used |= free & (~free + 1);
        }
        return std::popcount(used);
    }
    std::uint64_t open = ~std::uint64_t{0};
    for (std::uint32_t j = 0; j < length; ++j) {
        const std::uint64_t taken = open & positions_[static_cast<std::size_t>(ids[j])];
        open = (open + taken) | (open - taken);
    }
    return std::popcount(~open);
}

std::int32_t Searcher::count_long(std::size_t candidate) {
    const Id* const ids = candidates_.texts().begin(candidate);
    const std::uint32_t length = candidates_.texts().length(candidate);
    other_.clear();
    for (std::uint32_t j = 0; j < length; ++j) other_.push_back(number_[static_cast<std::size_t>(ids[j])]);
    if (measure_ == Measure::subsequence) return subsequence_.length(other_);
    left_ = times_;
    std::int32_t matched = 0;
    for (const std::int32_t number : other_) {
        if (number >= 0 && left_[static_cast<std::size_t>(number)]-- > 0) ++matched;
    }
    return matched;
}

void Searcher::count_all(const Id* hypothesis, std::uint32_t length, std::int32_t* counts) {
    open(hypothesis, length);
    for (const Candidates::Group& group : candidates_.groups()) {
        for (std::size_t at = group.first; at < group.last; ++at) {
            const std::uint32_t candidate = candidates_.order()[at];
            counts[candidate] = count(candidate, group.length);
        }
    }
    close();
}

std::size_t Searcher::find(const Id* hypothesis, std::uint32_t length, std::size_t most, double* scores,
                           std::int64_t* found) {
    open(hypothesis, length);
    hits_.clear();
    const std::vector<Candidates::Group>& groups = candidates_.groups();
    // From the length of the hypothesis outwards, since candidates of its own length can score highest.
    std::size_t above = 0;
    while (above < groups.size() && groups[above].length < length) ++above;
    std::size_t below = above;
    while (below > 0 || above < groups.size()) {
        const auto bound = [&](const Candidates::Group& group) {
            return f1(static_cast<std::int32_t>(std::min(length, group.length)), length, group.length);
        };
        const bool up = below == 0 || (above < groups.size() && bound(groups[above]) >= bound(groups[below - 1]));
        const Candidates::Group& group = up ? groups[above++] : groups[--below];
        // The other side can do no better than this one, so nothing that is left can.
        if (hits_.size() == most && (most == 0 || bound(group) < hits_.front().score)) break;

        const std::uint32_t longest = std::min(length, group.length);
        scores_.clear();
        for (std::uint32_t matched = 0; matched <= longest; ++matched) {
            scores_.push_back(f1(static_cast<std::int32_t>(matched), length, group.length));
        }
        // The smallest count that could still enter; scores rise with the count.
        const auto smallest = [&] {
            if (hits_.size() < most) return std::int32_t{0};
            return static_cast<std::int32_t>(
                std::lower_bound(scores_.begin(), scores_.end(), hits_.front().score) - scores_.begin());
        };
        std::int32_t needed = smallest();
        for (std::size_t at = group.first; at < group.last; ++at) {
            const std::uint32_t candidate = candidates_.order()[at];
            const std::int32_t counted = count(candidate, group.length);
            if (counted < needed) continue;
            const Hit hit{scores_[static_cast<std::size_t>(counted)], candidate};
            if (hits_.size() == most) {
                if (!better(hit, hits_.front())) continue;
                std::pop_heap(hits_.begin(), hits_.end(), better);
                hits_.pop_back();
            }
            hits_.push_back(hit);
            std::push_heap(hits_.begin(), hits_.end(), better);
            needed = smallest();
        }
    }
    close();
    std::sort_heap(hits_.begin(), hits_.end(), better);
    for (std::size_t i = 0; i < hits_.size(); ++i) {
        scores[i] = hits_[i].score;
        found[i] = hits_[i].candidate;
    }
    return hits_.size();
}

}  // namespace m4i
