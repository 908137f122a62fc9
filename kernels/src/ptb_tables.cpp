#include "ptb_tables.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <unordered_map>

namespace m4i::ptb {
namespace {

using Set = std::vector<std::int32_t>;
constexpr std::size_t kWords = 4;
using Bits = std::array<std::uint64_t, kWords>;

struct HashOfSet {
    std::size_t operator()(const Set& set) const {
        std::uint64_t hash = set.size();
        for (const std::int32_t each : set) hash = (hash ^ static_cast<std::uint32_t>(each)) * 0x9E3779B97F4A7C15ull;
        return static_cast<std::size_t>(hash ^ (hash >> 32));
    }
};

constexpr std::size_t kMostStates = std::size_t{1} << 14;

std::atomic<const Tables*> g_tables{nullptr};

class Determiner {
public:
    Determiner(const Automaton& automaton, std::vector<State>& moves)
        : automaton_(automaton), moves_(moves), seen_(automaton.states, 0), signatures_(automaton.kinds, Bits{}) {
        if (automaton.sets > 64 * kWords) throw std::length_error("the automaton has too many sets");
        for (std::size_t set = 0; set < automaton.sets; ++set) {
            for_each(automaton.members, set, [&](std::int32_t kind) {
                signatures_[static_cast<std::size_t>(kind)][set / 64] |= std::uint64_t{1} << (set % 64);
            });
        }
        number({});  // the dead state
    }

    State of(std::int32_t start) {
        const State state = number(closed({start}));
        while (done_ < sets_.size()) expand(done_++);
        return state;
    }

private:
    template <typename Each>
    static void for_each(const Lists& lists, std::size_t list, Each each) {
        for (std::int32_t i = list == 0 ? 0 : lists.ends[list - 1]; i < lists.ends[list]; ++i) each(lists.items[i]);
    }

    // States that can take a unit, or accept.
    Set closed(Set todo) {
        ++stamp_;
        Set found;
        for (const std::int32_t each : todo) seen_[static_cast<std::size_t>(each)] = stamp_;
        while (!todo.empty()) {
            const auto state = static_cast<std::size_t>(todo.back());
            todo.pop_back();
            const bool matters = automaton_.accepts[state] >= 0 || count(automaton_.steps, state) > 0;
            if (matters) found.push_back(static_cast<std::int32_t>(state));
            for_each(automaton_.free, state, [&](std::int32_t target) {
                if (seen_[static_cast<std::size_t>(target)] == stamp_) return;
                seen_[static_cast<std::size_t>(target)] = stamp_;
                todo.push_back(target);
            });
        }
        std::sort(found.begin(), found.end());
        return found;
    }

    static std::int32_t count(const Lists& lists, std::size_t list) {
        return lists.ends[list] - (list == 0 ? 0 : lists.ends[list - 1]);
    }

    State number(Set members) {
        const auto [at, is_new] = numbers_.try_emplace(std::move(members), kDead);
        if (is_new) {
            std::int32_t lowest = 0;
            for (const std::int32_t each : at->first) {
                const std::int32_t rule = automaton_.accepts[static_cast<std::size_t>(each)];
                if (rule >= 0 && (lowest == 0 || rule + 1 < lowest)) lowest = rule + 1;
            }
            const std::size_t begin = sets_.size() * automaton_.kinds;
            if (sets_.size() >= kMostStates || begin >= std::size_t{1} << 24 || lowest > 0xFF) throw std::length_error("the automaton is too large");
            at->second = static_cast<State>(begin << 8) | static_cast<State>(lowest);
            sets_.push_back(&at->first);
            moves_.resize(begin + automaton_.kinds, kDead);
        }
        return at->second;
    }

    // Kinds that are in the same ones of a state's sets lead to the same state.
    void expand(std::size_t state) {
        const Set members = *sets_[state];
        Bits mask{};
        for (const std::int32_t each : members) {
            for_each(automaton_.steps, static_cast<std::size_t>(each), [&](std::int32_t step) {
                const std::int32_t set = step_set(step);
                mask[static_cast<std::size_t>(set) / 64] |= std::uint64_t{1} << (set % 64);
            });
        }
        std::vector<std::pair<Bits, State>> known;
        for (std::size_t kind = 0; kind < automaton_.kinds; ++kind) {
            Bits here;
            for (std::size_t i = 0; i < kWords; ++i) here[i] = signatures_[kind][i] & mask[i];
            if (here == Bits{}) continue;
            auto at = std::find_if(known.begin(), known.end(), [&](const auto& each) { return each.first == here; });
            if (at == known.end()) {
                Set targets;
                for (const std::int32_t each : members) {
                    for_each(automaton_.steps, static_cast<std::size_t>(each), [&](std::int32_t step) {
                        const auto set = static_cast<std::size_t>(step_set(step));
                        if (here[set / 64] >> (set % 64) & 1) targets.push_back(step_target(step));
                    });
                }
                known.emplace_back(here, number(closed(std::move(targets))));
                at = known.end() - 1;
            }
            moves_[state * automaton_.kinds + kind] = at->second;
        }
    }

    // A step is a set and a state in one number.
    std::int32_t step_set(std::int32_t step) const { return step / static_cast<std::int32_t>(automaton_.states); }
    std::int32_t step_target(std::int32_t step) const { return step % static_cast<std::int32_t>(automaton_.states); }

    const Automaton& automaton_;
    std::vector<State>& moves_;
    std::vector<std::uint32_t> seen_;
    std::uint32_t stamp_ = 0;
    std::vector<Bits> signatures_;  // the sets that a kind is in
    std::unordered_map<Set, State, HashOfSet> numbers_;
    std::vector<const Set*> sets_;
    std::size_t done_ = 0;
};

}  // namespace

std::vector<State> determined(const Automaton& automaton, const std::vector<std::int32_t>& starts, std::vector<State>& moves) {
    moves.clear();
    Determiner determiner(automaton, moves);
    std::vector<State> states;
    for (const std::int32_t start : starts) states.push_back(determiner.of(start));
    return states;
}

void set_tables(std::unique_ptr<Tables> tables) {
    tables->plain = plain_words(*tables);
    const Tables* expected = nullptr;
    if (g_tables.compare_exchange_strong(expected, tables.get())) tables.release();  // kept to the end of the process
}

const Tables* tables() { return g_tables.load(std::memory_order_acquire); }

}  // namespace m4i::ptb
