// Words of letters alone: nearly each of them is its own token, whatever the word. Which are not, the automaton is asked
// once; all others are told by what they are made of, a block of bytes at a time (machine_plain.inl).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace m4i::ptb {

struct Tables;

// A word of ASCII letters becomes a token, in lower case and else as it is, where a blank, the end of a line or of the
// text follows, unless it is one of `words`. One blank between two of them is nothing.
struct PlainWords {
    static constexpr std::size_t kMost = 16, kMostLetters = 8, kDoubled = 4;

    bool known = false;       // whether all this was found to be so; the others say nothing where it is not
    bool full_stop = false;   // a full stop between a blank and the end of a line or of the text is left out
    bool line_feed = false;   // a line feed of a document ends a line, whatever follows
    std::size_t count = 0;
    std::array<std::uint64_t, kMost> words{};  // in lower case, the first letter lowest; each has its third letter twice
    std::array<char, kDoubled> doubled{};      // these letters; zeros where there are fewer
};

PlainWords plain_words(const Tables& tables);

// What was read of a block, and what it became: words with a blank between each two. At most 64 of each.
struct Stretch {
    std::uint16_t read, written, words;
    bool full_stop;  // the last that was read is one that is left out; the end follows
};

}  // namespace m4i::ptb
