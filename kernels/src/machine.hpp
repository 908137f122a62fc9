// The parts that are compiled once for each instruction set, behind one choice at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "keys.hpp"
#include "ptb_plain.hpp"

namespace m4i {

// How bytes are told apart. Those that are not ASCII belong to words, but for rouge_score.
enum class Alphabet : int {
    words = 0,        // letters and digits, lower case; an apostrophe between two of them belongs to the word
    rouge_score = 1,  // letters and digits, lower case
    whitespace = 2,   // everything but white space
};

inline constexpr std::size_t kBlock = 64;  // cut() writes whole blocks of bytes
inline constexpr std::size_t kRow = 8;     // words of a row of room: a cache line
inline constexpr std::size_t kShort = 64;  // hypothesis tokens up to which compare() works: the bits of a machine word
inline constexpr std::uint32_t kLongestInLanes = 2048;  // reference tokens up to which the lanes' room stays small
inline constexpr int kOrders = 4;          // n-grams are counted for n = 1 .. 4

// ASCII, or units of a text of any characters. `ready`: UTF-8 that cut() must not see. For 13a it is what Python has made
// of the text, its tokens joined by spaces; for ptb what the rewriter has made of it.
struct Text {
    const char* data;
    std::size_t size;
    bool ready;
    std::uint8_t width = 0;  // bytes of a unit, `size` counts units; 0: bytes that are cut as they are
};

// A token that is not its own key: which one it is, and where its bytes begin.
struct Other {
    std::uint32_t token;
    std::uint32_t begin;
};

// Where cut() writes, and how far it has come.
struct Cutting {
    Key* keys;
    std::size_t* ends;  // of each text, in `keys`
    char* single;       // of each text (whitespace): one space between any two tokens, and no other white space
    Other* others;      // tokens and bytes are counted from the first of all
    char* bytes;
    std::size_t texts = 0, tokens = 0, listed = 0, at = 0;
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

// By n-gram order, which n-grams of the hypothesis a reference matches: bit i stands for the n-gram that ends at token i.
// Of an n-gram that stands there several times, the first occurrences are taken, as many as the reference has; so the
// union over references counts each n-gram as often as the reference that has it most often, which is BLEU's clipping.
struct Used {
    std::uint64_t of[kOrders];
};

struct Counts {
    std::int32_t of[kOrders];
};

// Texts of small numbers, one after the other: text i is tokens[offsets[i] - base] and on to the next. The memory can be
// read kShort tokens beyond the last.
struct SmallTexts {
    const Small* tokens;
    const std::int64_t* offsets;
    std::int64_t base;

    const Small* begin(std::int64_t text) const { return tokens + (offsets[text] - base); }
    std::uint32_t length(std::int64_t text) const {
        return static_cast<std::uint32_t>(offsets[text + 1] - offsets[text]);
    }
};

// Hypothesis i and references rows[i] to rows[i + 1], for `count` records. Those of `left_out` (none where it is nullptr)
// are not looked at; no other has a hypothesis beyond kShort tokens or a reference beyond kLongestInLanes.
struct SmallRecords {
    SmallTexts hypotheses, references;
    const std::int64_t* rows;
    std::size_t count;
    const char* left_out;
};

// A row a pair, the first is the first record's first; `taken`, a row a record, gets what all its references took.
struct SmallResults {
    std::int32_t* subsequence;
    Counts* matches;
    Used* taken;
};

inline constexpr std::size_t kWide = 1024;     // hypothesis tokens up to which compare_wide() works
inline constexpr std::size_t kWideWords = kWide / 64;
inline constexpr std::size_t kWidePiece = 512;  // reference tokens that are looked at together
inline constexpr std::size_t kWideSlack = 64;   // numbers that may be written behind those that matter

// A text of numbers that stand for its tokens: equal ones for equal tokens.
struct NumberedText {
    const Small* tokens;
    std::size_t length;
};

// What compare_wide() works in; it need not be cleared.
struct WideRoom {
    alignas(64) std::uint64_t rows[(kWide + 1) * kWideWords];  // by token: where it stands in the hypothesis
    alignas(64) std::uint32_t in_hypothesis[kWide + 1], in_reference[kWide + 1], best[kWide + 1];  // by token: how often
    alignas(64) Small wanted[1 + kWidePiece + kWideSlack];
    alignas(64) Small kept[kWidePiece + kWideSlack], joints[kWidePiece + kWideSlack];
    Small* local;  // by number: 0, before and after; as long as the largest number needs
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

    // Cuts `count` texts, of no width, into tokens and writes their keys, up to one that is `ready` or holds a NUL in a
    // token: that one is left. Tokens that are not their own key are listed; their key is undefined, their bytes (ASCII
    // lower-cased for words and rouge_score) stand in `bytes` with a zero byte behind each.
    // Room: kBlock, and for each text (size + 1) / 2 keys, size / 10 others, the whole blocks of size + 1 bytes.
    void (*cut)(Alphabet alphabet, const Text* texts, std::size_t count, Cutting& out);

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
    void (*compare_small)(const SmallRecords& records, const SmallResults& results);

    // The subsequences alone.
    void (*subsequences)(const IdPair* pairs, std::size_t count, std::uint64_t* room, std::int32_t* lengths);
    void (*subsequences_small)(const SmallRecords& records, const SmallResults& results);

    // Compares a hypothesis of at most kWide tokens, the first of `texts`, with its references, which may be of any length.
    // `best`: the matches clipped by the best of the references.
    void (*compare_wide)(const NumberedText* texts, std::size_t references, WideRoom& room, std::int32_t* subsequence,
                         Counts* matches, Counts& best);

    // Copies numbers as Small; whether all of them are.
    bool (*narrow)(const Id* ids, std::size_t count, Small* out);

    // Bits in the union of `count` sets.
    Counts (*unite)(const Used* used, std::size_t count);

    // Of a text of `size` units that begins with a token, as many words of letters, with one blank between each two, as a
    // block holds, and a full stop that is left out; up to where something else stands. `line_feed`: whether one ends a
    // line. Nothing beyond the text is read; kBlock bytes are written, whatever is made, and some more may be read there. Only where `but.known`.
    ptb::Stretch (*plain)(const unsigned char* text, std::size_t size, bool line_feed, const ptb::PlainWords& but, char* out);
    ptb::Stretch (*plain_wide)(const char16_t* text, std::size_t size, bool line_feed, const ptb::PlainWords& but, char* out);

    // Pixels down.in x across.in x channels (3 or 4) to down.out x across.out x 3, by the filters.
    // `room`: 16 * across.in + 2 * resampled_bytes.
    void (*resample)(const std::uint8_t* pixels, std::size_t channels, const Filter& across, const Filter& down,
                     std::uint8_t* room, std::uint8_t* out);
};

// The one of this name, or nullptr where it does not run.
const Machine* machine_named(const char* name);

}  // namespace m4i
