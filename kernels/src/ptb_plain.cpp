#include "ptb_plain.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ptb_tables.hpp"

namespace m4i::ptb {
namespace {

constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::size_t kMostPaths = std::size_t{1} << 14;

class Finder {
public:
    explicit Finder(const Tables& tables) : tables_(tables) {}

    PlainWords found() {
        reach();
        collect(tables_.start, 0, 0);
        const State blank = move(tables_.start, ' '), stop = move(tables_.start, '.'), feed = move(tables_.start, '\n');
        found_.known = possible_ && is_nothing(blank) && no_letter_follows(blank);
        // After a blank, and what follows is the end.
        found_.full_stop = found_.known && move(blank, '.') == kDead && is_itself(stop) && move(stop, '\n') == kDead;
        found_.line_feed = rule_of(feed) != nullptr && rule_of(feed)->made == Made::line && !has_moves(feed);
        return found_;
    }

private:
    State move(State state, char unit) const { return tables_.move(state, tables_.kinds[static_cast<unsigned char>(unit)]); }

    const Rule* rule_of(State state) const {
        return accepted(state) == 0 ? nullptr : &tables_.rules[accepted(state) - 1];
    }

    bool has_moves(State state) const {
        const State* const moves = tables_.moves.data() + (state >> 8);
        return std::any_of(moves, moves + tables_.kind_count, [](State next) { return next != kDead; });
    }

    bool no_letter_follows(State state) const {
        return std::all_of(kLetters.begin(), kLetters.end(), [&](char letter) { return move(state, letter) == kDead; });
    }

    bool is_nothing(State state) const { return rule_of(state) != nullptr && rule_of(state)->made == Made::nothing; }

    static bool keeps(const Rule& rule) { return (rule.made == Made::same || rule.made == Made::plain) && !rule.again; }

    bool is_itself(State state) const {
        return rule_of(state) != nullptr && keeps(*rule_of(state)) && rule_of(state)->ahead == 0;
    }

    // Whether the token ends with the word where `behind` is what its match went over beyond the word.
    bool ends_with_word(const Rule& rule, std::string_view behind) const {
        if (rule.ahead >= 0) return behind.size() == static_cast<std::size_t>(rule.ahead);
        if (rule.match >= 0 || behind.empty()) return false;  // it may be so, but no such rule is known
        State state = rule.backward;
        for (std::size_t i = behind.size(); i > 0; --i) {
            if (accepted(state) != 0) return false;  // the token may go further
            state = move(state, behind[i - 1]);
        }
        return accepted(state) != 0 && no_letter_follows(state);  // nor can it end before
    }

    // Whether a word that led to `state` is its own token where this follows, and nothing behind is looked at.
    bool stays(State state, std::string_view follows) const {
        const Rule* rule = rule_of(state);
        std::size_t behind = 0;
        for (std::size_t i = 0; i < follows.size(); ++i) {
            state = move(state, follows[i]);
            if (state == kDead) break;
            if (rule_of(state) != nullptr) {
                rule = rule_of(state);
                behind = i + 1;
            }
        }
        if (!follows.empty() && state != kDead && has_moves(state)) return false;
        return rule != nullptr && keeps(*rule) && ends_with_word(*rule, follows.substr(0, behind));
    }

    // The states of words, and which of them lead to words that do not stay.
    void reach() {
        std::vector<State> order{tables_.start};
        std::unordered_map<State, std::vector<State>> from;
        from[tables_.start];
        for (std::size_t i = 0; i < order.size(); ++i) {
            for (const char letter : kLetters) {
                const State next = move(order[i], letter);
                if (next == kDead) {
                    possible_ = false;  // a letter that no rule takes into the word
                    continue;
                }
                if (!from.contains(next)) order.push_back(next);
                from[next].push_back(order[i]);
            }
        }
        std::vector<State> todo;
        for (const State state : order) {
            if (state == tables_.start || (stays(state, "") && stays(state, " ") && stays(state, "\n"))) continue;
            others_[state] = true;
            todo.push_back(state);
        }
        while (!todo.empty()) {
            const State state = todo.back();
            todo.pop_back();
            for (const State before : from[state]) {
                if (others_.try_emplace(before, false).second) todo.push_back(before);
            }
        }
    }

    // All words that do not stay, from a state on.
    void collect(State state, std::uint64_t word, std::size_t length) {
        const auto at = others_.find(state);
        if (at == others_.end() || !possible_) return;
        if (at->second) add(word, length);
        if (++paths_ > kMostPaths || length == PlainWords::kMostLetters) {
            possible_ = false;
            return;
        }
        for (const char letter : kLetters) {
            collect(move(state, letter), word | std::uint64_t{static_cast<unsigned char>(letter | 0x20)} << (8 * length), length + 1);
        }
    }

    void add(std::uint64_t word, std::size_t length) {
        const auto letter = [&](int i) { return static_cast<char>(word >> (8 * i)); };
        auto* const end = found_.words.begin() + found_.count;
        if (std::find(found_.words.begin(), end, word) != end) return;
        // A letter twice is what they are looked for by.
        auto* const doubled = std::find_if(found_.doubled.begin(), found_.doubled.end(),
                                           [&](char each) { return each == letter(2) || each == 0; });
        possible_ = length >= 4 && letter(2) == letter(3) && doubled != found_.doubled.end() && found_.count < PlainWords::kMost;
        if (!possible_) return;
        *doubled = letter(2);
        found_.words[found_.count++] = word;
    }

    const Tables& tables_;
    PlainWords found_;
    bool possible_ = true;
    std::unordered_map<State, bool> others_;  // states of words that do not stay (true), or from which such are reached
    std::size_t paths_ = 0;
};

}  // namespace

PlainWords plain_words(const Tables& tables) { return Finder(tables).found(); }

}  // namespace m4i::ptb
