#include "ptb_plain.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ptb_made.hpp"
#include "ptb_tables.hpp"

namespace m4i::ptb {
namespace {

constexpr std::string_view kSmall = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::size_t kMostTried = std::size_t{1} << 14;  // beginnings of words

using States = std::set<State>;
using Words = std::vector<std::string>;

class Finder {
public:
    explicit Finder(const Tables& tables) : tables_(tables) {}

    PlainWords found() {
        reach();
        const std::optional<Words> others = words_where([&](State state) {
            return !stays(state, "", true) || !stays(state, " ") || !stays(state, "\n");
        });
        const std::optional<Words> dotted =
            words_where([&](State state) { return !stays(state, ".", true) || !stays(state, ".\n"); });
        const State blank = move(tables_.start, ' '), stop = move(tables_.start, '.'), feed = move(tables_.start, '\n');
        found_.known = others && keep(*others) && is_nothing(blank) && no_letter_follows(blank);
        found_.full_stop = is_removed(".", 1) && move(blank, '.') == kDead && is_itself(stop) && move(stop, '\n') == kDead;
        found_.dot = found_.full_stop && dotted && keep_dotted(*dotted);
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

    // Whether a word that led to `state` is its own token where this follows, and then the end of the text or (not `end`)
    // what nobody looks at.
    bool stays(State state, std::string_view follows, bool end = false) const {
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
        if (!end && state != kDead && has_moves(state)) return false;
        return rule != nullptr && keeps(*rule) && ends_with_word(*rule, follows.substr(0, behind));
    }

    // All states of words, and from which of them each is reached.
    void reach() {
        states_.push_back(tables_.start);
        from_[tables_.start];
        for (std::size_t i = 0; i < states_.size(); ++i) {
            const State state = states_[i];
            for (const char letter : kLetters) {
                const State next = move(state, letter);
                if (next == kDead) continue;
                if (!from_.contains(next)) states_.push_back(next);
                from_[next].push_back(state);
            }
        }
    }

    // All words, in lower case, of which `chosen` holds in one case or another; nothing where there are too many, or where
    // a letter does not belong to the word before it.
    template <typename Chosen>
    std::optional<Words> words_where(Chosen chosen) const {
        std::unordered_map<State, bool> leading;  // states for which it holds (true), or from which such are reached
        std::vector<State> todo;
        for (const State state : states_) {
            if (state == tables_.start || !chosen(state)) continue;
            leading[state] = true;
            todo.push_back(state);
        }
        while (!todo.empty()) {
            const State state = todo.back();
            todo.pop_back();
            for (const State before : from_.at(state)) {
                if (leading.try_emplace(before, false).second) todo.push_back(before);
            }
        }
        Words found;
        std::size_t tried = 0;
        std::vector<std::pair<std::string, States>> begun{{"", {tables_.start}}};
        while (!begun.empty()) {
            const auto [word, states] = std::move(begun.back());
            begun.pop_back();
            const auto is_chosen = [&](State state) { return leading.at(state); };
            if (std::any_of(states.begin(), states.end(), is_chosen)) found.push_back(word);
            for (const char letter : kSmall) {
                States next;
                for (const State state : states) {
                    for (const char each : {letter, static_cast<char>(letter ^ 0x20)}) {
                        const State after = move(state, each);
                        if (after == kDead) return {};
                        if (leading.contains(after)) next.insert(after);
                    }
                }
                if (!next.empty()) begun.emplace_back(word + letter, std::move(next));
            }
            if (word.size() > Letters::kMost || found.size() > LettersSet::kMost || ++tried > kMostTried) return {};
        }
        return found;
    }

    static Letters letters_of(const std::string& word) {
        Letters found;
        for (std::size_t i = 0; i < word.size(); ++i) {
            (i < 8 ? found.low : found.high) |= std::uint64_t{static_cast<unsigned char>(word[i])} << (8 * (i % 8));
        }
        return found;
    }

    // A letter twice is what these are looked for by.
    bool keep(const Words& words) {
        if (words.size() > PlainWords::kMost) return false;
        for (const std::string& word : words) {
            if (word.size() < 4 || word.size() > PlainWords::kMostLetters || word[2] != word[3]) return false;
            auto* const doubled = std::find_if(found_.doubled.begin(), found_.doubled.end(),
                                               [&](char each) { return each == word[2] || each == 0; });
            if (doubled == found_.doubled.end()) return false;
            *doubled = word[2];
            found_.words[found_.count++] = letters_of(word).low;
        }
        return true;
    }

    bool keep_dotted(const Words& words) {
        for (const std::string& word : words) {
            if (word.size() > Letters::kMost) return false;
            found_.dotted.add(letters_of(word));
        }
        return true;
    }

    const Tables& tables_;
    PlainWords found_;
    std::vector<State> states_;
    std::unordered_map<State, std::vector<State>> from_;
};

}  // namespace

void LettersSet::add(const Letters& word) {
    std::size_t slot = slot_of(word);
    while (slots_[slot] != Letters{}) slot = (slot + 1) % kSlots;
    slots_[slot] = word;
}

PlainWords plain_words(const Tables& tables) { return Finder(tables).found(); }

}  // namespace m4i::ptb
