// The PTB tokeniser's automaton, made deterministic. What the rules mean is written in kernels/ptb/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ptb_plain.hpp"

namespace m4i::ptb {

inline constexpr std::size_t kUnits = std::size_t{1} << 16;

// The numbers are part of the Python face: kernels/ptb/rules.py names them.
enum class Made : std::uint8_t {
    nothing, line, same, plain, quote, opening, ampersand, hyphens, fraction, money, solid, face, phone, fixed
};
inline constexpr int kMade = 14;

// A state: where its moves begin, shifted left by eight, and one more than the rule it accepts (0: none).
using State = std::uint32_t;
inline constexpr State kDead = 0;
inline State accepted(State state) { return state & 0xFF; }

struct Rule {
    Made made;
    bool again;          // the last unit is read once more
    bool alone;          // and does not stay in a token of one letter
    std::int32_t ahead;  // units that must follow: a number, 0 for none, -1 where they differ
    std::int32_t match;  // units of the match: a number, or -1
    State forward;       // where ahead and match are -1: what matches, and what must follow back to front
    State backward;
    std::string text;
};

struct Tables {
    std::array<std::uint8_t, kUnits> kinds;         // of units that no rule tells apart
    std::array<std::uint8_t, kUnits> kinds_alone;   // the same, a line feed taken for a blank
    std::size_t kind_count;
    std::vector<State> moves;                       // [state's begin + kind]
    State start;
    std::vector<Rule> rules;
    std::array<char16_t, kUnits> lower;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> lower_pairs;  // characters beyond 16 bits, sorted
    std::array<std::uint8_t, kUnits> in_words;      // bits of kernels/ptb/lowering.py
    PlainWords plain;                               // what follows from the rest: set_tables() finds it out

    State move(State state, std::uint8_t kind) const { return moves[(state >> 8) + kind]; }
};

// A nondeterministic automaton: lists of lists, each as ends and items.
struct Lists {
    const std::int32_t* ends;
    const std::int32_t* items;
};
struct Automaton {
    std::size_t states, sets, kinds;
    Lists free;             // states that follow a state without a unit
    Lists steps;            // pairs of a set and the state that follows with one of it
    Lists members;          // kinds in a set
    const std::int32_t* accepts;  // a state's rule, or -1
};

// Makes the automaton deterministic from each of `starts`, whose states it gives; fills `moves`.
std::vector<State> determined(const Automaton& automaton, const std::vector<std::int32_t>& starts, std::vector<State>& moves);

// Set once for the process; the first one stays.
void set_tables(std::unique_ptr<Tables> tables);
const Tables* tables();

}  // namespace m4i::ptb
