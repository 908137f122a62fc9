// Words of letters alone: nearly each of them is its own token, whatever the word. Which are not, the automaton is asked
// once; all others are told by what they are made of, a block of bytes at a time (machine_plain.inl).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace m4i::ptb {

struct Tables;

// Up to sixteen letters in lower case, the first one lowest, zeros behind them.
struct Letters {
    static constexpr std::size_t kMost = 16;

    std::uint64_t low = 0, high = 0;

    bool operator==(const Letters&) const = default;
};

// Words, to be asked of each word that a full stop follows.
class LettersSet {
public:
    void add(const Letters& word);
    bool contains(const Letters& word) const {
        for (std::size_t slot = slot_of(word);; slot = (slot + 1) % kSlots) {
            if (slots_[slot] == word) return true;
            if (slots_[slot] == Letters{}) return false;
        }
    }
    template <typename Each>
    void for_each(Each each) const {
        for (const Letters& word : slots_) {
            if (word != Letters{}) each(word);
        }
    }

    static constexpr std::size_t kMost = 512;  // half of the slots

private:
    static constexpr std::size_t kSlots = 2 * kMost;

    static std::size_t slot_of(const Letters& word) {
        return ((word.low * 0x9E3779B97F4A7C15ull) ^ (word.high * 0xC2B2AE3D27D4EB4Full)) >> 54;  // ten bits
    }

    std::array<Letters, kSlots> slots_{};
};

// A word of ASCII letters becomes a token, in lower case and else as it is, where a blank, the end of a line or of the
// text follows, unless it is one of `words`. One blank between two of them is nothing. A full stop that stands before the
// end is left out; right behind a word it is part of some, of all that are in `dotted`.
struct PlainWords {
    static constexpr std::size_t kMost = 16, kMostLetters = 8, kDoubled = 4;

    bool known = false;       // whether all this was found to be so; the others say nothing where it is not
    bool full_stop = false;   // whether a full stop is left out where a blank stands before it and the end behind it
    bool dot = false;         // or a word of at most Letters::kMost letters before it that is not in `dotted`
    bool line_feed = false;   // a line feed of a document ends a line, whatever follows
    std::size_t count = 0;
    std::array<std::uint64_t, kMost> words{};  // as Letters; each has its third letter twice
    std::array<char, kDoubled> doubled{};      // these letters; zeros where there are fewer
    LettersSet dotted;
};

PlainWords plain_words(const Tables& tables);

// What was read of a block, and what it became: words with a blank between each two. At most 64 of each.
struct Stretch {
    std::uint16_t read, written, words;
    bool full_stop;  // the last that was read is one that is left out; the end follows
};

}  // namespace m4i::ptb
