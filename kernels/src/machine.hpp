// The parts that are compiled once for each instruction set, behind one choice at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "keys.hpp"

namespace m4i {

// How bytes of an ASCII text are told apart.
enum class Alphabet : int {
    words = 0,        // letters and digits, lower case; an apostrophe between two of them belongs to the word
    rouge_score = 1,  // letters and digits, lower case
    whitespace = 2,   // everything but white space
};

inline constexpr std::size_t kBlock = 64;  // scan() reads and writes whole blocks
inline constexpr std::size_t kRow = 8;     // words of a row of room: a cache line
inline constexpr std::size_t kShort = 64;  // hypothesis tokens up to which compare() works: the bits of a machine word
inline constexpr int kOrders = 4;          // n-grams are counted for n = 1 .. 4

// What scan() saw among the bytes of a text, for Alphabet::whitespace.
struct Spaces {
    std::uint32_t any;    // white space
    std::uint32_t plain;  // U+0020
    std::uint32_t nul;
};

// Bytes of a block that the tokeniser 13a looks at, bit i for byte i. Signs stand alone wherever they are.
struct Marks {
    std::uint64_t space, sign, point, digit, dash;
};

// A hypothesis of at most kShort tokens and a reference of any length.
template <typename Token>
struct PairOf {
    const Token* hypothesis;
    const Token* reference;
    std::uint32_t hypothesis_length;
    std::uint32_t reference_length;
};
using Pair = PairOf<Key>;
using IdPair = PairOf<Id>;
using SmallPair = PairOf<Small>;  // of memory that can be read kShort tokens beyond a text's end

// By n-gram order, which n-grams of the hypothesis a reference matches: bit i stands for the n-gram that ends at token i.
// Of an n-gram that stands there several times, the first occurrences are taken, as many as the reference has; so the
// union over references counts each n-gram as often as the reference that has it most often, which is BLEU's clipping.
struct Used {
    std::uint64_t of[kOrders];
};

struct Counts {
    std::int32_t of[kOrders];
};

inline constexpr int kWeightBits = 22;  // of a filter's weights, behind the point

// What each of `out` pixels of a row (or column) is made of: `count[i]` pixels of `in` from `first[i]` on.
struct Filter {
    std::size_t in, out, taps;
    const std::uint32_t* first;
    const std::uint32_t* count;
    const std::int32_t* weights;  // out x taps
};

// Room for what the first of two passes gives, whichever that is, or the second.
inline std::size_t resampled_bytes(const Filter& across, const Filter& down) {
    const std::size_t flat = (down.in + 4) * across.out, high = down.out * across.in, both = (down.out + 4) * across.out;
    return 4 * (flat > high ? (flat > both ? flat : both) : (high > both ? high : both));
}

struct Machine {
    const char* name;

    // Copies `size` ASCII bytes (lower-cased for words and rouge_score) to `bytes`, zero-padded to whole blocks, and
    // lists where tokens begin and end, counted from `bytes` plus `base`. Room: (size + 1) / 2 + kBlock tokens.
    // Returns the number of tokens. `spaces` is filled for whitespace only.
    std::size_t (*scan)(Alphabet alphabet, const char* text, std::size_t size, char* bytes, std::uint32_t base,
                        std::uint32_t* starts, std::uint32_t* ends, Spaces* spaces);

    // The marks of `size` <= kBlock ASCII bytes; nothing beyond them is read.
    Marks (*mark)(const char* text, std::size_t size);

    // The keys of `count` tokens in `bytes`, of which at least eight can be read beyond the last token. Tokens that are
    // not their own key are listed in `others` by index; their key is undefined. Returns how many were listed.
    std::size_t (*pack)(const char* bytes, const std::uint32_t* starts, const std::uint32_t* ends, std::size_t count,
                        Key* keys, std::uint32_t* others);

    // Compares pairs. `room`: a row for each token of the longest reference, aligned to 64 bytes.
    // `subsequence`: length of the longest common one, after Allison and Dix (1986) in the form of Hyyro (2004).
    void (*compare)(const Pair* pairs, std::size_t count, std::uint64_t* room, std::int32_t* subsequence,
                    Counts* matches, Used* used);

    // The same for tokens that the caller has numbered.
    void (*compare_ids)(const IdPair* pairs, std::size_t count, std::uint64_t* room, std::int32_t* subsequence,
                        Counts* matches, Used* used);
    void (*compare_small)(const SmallPair* pairs, std::size_t count, std::uint64_t* room, std::int32_t* subsequence,
                          Counts* matches, Used* used);

    // The subsequences alone.
    void (*subsequences)(const IdPair* pairs, std::size_t count, std::uint64_t* room, std::int32_t* lengths);
    void (*subsequences_small)(const SmallPair* pairs, std::size_t count, std::uint64_t* room, std::int32_t* lengths);

    // Copies numbers as Small; whether all of them are.
    bool (*narrow)(const Id* ids, std::size_t count, Small* out);

    // Bits in the union of `count` sets.
    Counts (*unite)(const Used* used, std::size_t count);

    // Pixels down.in x across.in x channels (3 or 4) to down.out x across.out x 3, by the filters.
    // `room`: 16 * across.in + 2 * resampled_bytes.
    void (*resample)(const std::uint8_t* pixels, std::size_t channels, const Filter& across, const Filter& down,
                     std::uint8_t* room, std::uint8_t* out);
};

// The one of this name, or nullptr where it does not run.
const Machine* machine_named(const char* name);

}  // namespace m4i
