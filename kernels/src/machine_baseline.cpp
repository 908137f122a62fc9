// Any processor.
#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <type_traits>

#include "machine.hpp"

namespace m4i {
namespace {

#include "machine_common.inl"
#include "machine_cut.inl"
#include "machine_plain.inl"
#include "machine_small.inl"
#include "machine_wide.inl"
#include "resample.inl"

constexpr unsigned char kWord = 1, kUpper = 2, kApostrophe = 4, kSpace = 8, kOther = 16;

constexpr std::array<unsigned char, 256> kKinds = [] {
    std::array<unsigned char, 256> kinds{};
    for (int c = '0'; c <= '9'; ++c) kinds[c] = kWord;
    for (int c = 'a'; c <= 'z'; ++c) kinds[c] = kWord;
    for (int c = 'A'; c <= 'Z'; ++c) kinds[c] = kWord | kUpper;
    kinds['\''] = kApostrophe;
    for (int c = 0x80; c < 0x100; ++c) kinds[c] = kOther;
    for (const int c : {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x1F, 0x20}) kinds[c] = kSpace;
    return kinds;
}();

unsigned char kind(char c) { return kKinds[static_cast<unsigned char>(c)]; }

template <Alphabet kAlphabet>
struct CutOne {
    void operator()(const Text& whole, Seen& seen, Cutting& room) const {
        const char* const text = whole.data;
        const size_t size = whole.size;
        char* const bytes = room.bytes + room.at;
        Cutter cutter(room);
        for (size_t at = 0; at < size; at += kBlock) {
            const size_t here = std::min(kBlock, size - at);
            uint64_t inside = 0, apostrophes = 0;
            if constexpr (kAlphabet == Alphabet::whitespace) {
                for (size_t i = 0; i < here; ++i) {
                    const char c = text[at + i];
                    const bool space = kind(c) == kSpace;
                    bytes[at + i] = c;
                    inside |= uint64_t{!space} << i;
                    seen.any += space;
                    seen.plain += c == ' ';
                    seen.nul += c == '\0';
                }
            } else {
                constexpr unsigned char kInside = kAlphabet == Alphabet::words ? kWord | kOther : kWord;
                for (size_t i = 0; i < here; ++i) {
                    const unsigned char k = kind(text[at + i]);
                    bytes[at + i] = static_cast<char>(text[at + i] | ((k & kUpper) << 4));
                    inside |= uint64_t{(k & kInside) != 0} << i;
                    apostrophes |= uint64_t{k == kApostrophe} << i;
                }
                if (apostrophes != 0 && kAlphabet == Alphabet::words) {
                    const bool before = at > 0 && is_word(text[at - 1]);
                    const bool after = at + kBlock < size && is_word(text[at + kBlock]);
                    inside = joined(inside, apostrophes, before, after);
                }
            }
            std::fill(bytes + at + here, bytes + at + kBlock, '\0');
            cutter.block(inside, static_cast<uint32_t>(at));
        }
        cutter.finish(static_cast<uint32_t>(size));
    }
};

Marks mark(const char* text, size_t size) {
    Marks marks{};
    for (size_t i = 0; i < size; ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        const unsigned kinds = kLowHalf[c & 0x0F] & kHighHalf[c >> 4];
        marks.space |= uint64_t{kind(text[i]) == kSpace} << i;
        marks.sign |= uint64_t{(kinds & kSign) != 0} << i;
        marks.point |= uint64_t{(kinds & kPoint) != 0} << i;
        marks.digit |= uint64_t{(kinds & kDigit) != 0} << i;
        marks.dash |= uint64_t{(kinds & kDash) != 0} << i;
    }
    return marks;
}

template <typename Token>
struct Hits {
    explicit Hits(const PairOf<Token>& pair) : pair(pair) {}

    template <typename Word>
    void put(Token token, Word* word) const {
        uint64_t hits = 0;
        for (uint32_t i = 0; i < pair.hypothesis_length; ++i) hits |= uint64_t{pair.hypothesis[i] == token} << i;
        *word = static_cast<Word>(hits);
    }

    const PairOf<Token>& pair;
};

template <typename Token, int Width, bool Ngrams>
struct Group {
    using Word = WordOf<Width>;
    static constexpr size_t many = 16 / sizeof(Word);

    static void of(const PairOf<Token>* pairs, const uint16_t* order, size_t count, uint64_t* room,
                   const Results& results) {
        compare_group<Hits<Token>, Word, many, Ngrams, PlainWriter>(pairs, order, count, room, results);
    }
};

using Kernels = Comparisons<Group>;

struct Ops : PlainOps<Ops, 16> {
    using Wide = VectorOf<16, uint32_t>::type;

    static Lanes low(Lanes a, Lanes b) { return M4I_SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11); }
    static Lanes high(Lanes a, Lanes b) { return M4I_SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15); }
    static Wide low(Wide a, Wide b) { return M4I_SHUFFLE(a, b, 0, 4, 1, 5); }
    static Wide high(Wide a, Wide b) { return M4I_SHUFFLE(a, b, 2, 6, 3, 7); }

    static Lanes rows(const Small* tokens, const uint32_t* texts) {
        Lanes row;
        std::memcpy(&row, tokens + *texts, sizeof row);
        return row;
    }
};

struct PlainBytes {
    template <typename Unit>
    PlainBytes(const Unit* text, size_t size, const ptb::PlainWords&) {
        unsigned before = 0;
        for (size_t i = 0; i < size; ++i) {
            const unsigned unit = text[i], lower = unit | 0x20;
            bytes[i] = static_cast<char>(lower);
            letters |= uint64_t{lower - 'a' < 26} << i;
            blanks |= uint64_t{unit == ' '} << i;
            doubled |= uint64_t{lower == before} << i;
            before = lower;
        }
        doubled >>= 1;
    }

    void write(char* out) const { std::memcpy(out, bytes, sizeof bytes); }

    char bytes[kBlock] = {};
    uint64_t letters = 0, blanks = 0, doubled = 0;
};

}  // namespace

extern const Machine kBaseline;
const Machine kBaseline{"baseline", cut_by<CutOne>, mark, pack_tokens, Kernels::compare<Key>,
                        Kernels::compare<Id>, compare_records<Ops, true>, Kernels::subsequences,
                        compare_records<Ops, false>, compare_wide<PlainWide>, narrow_ids, unite_used,
                        read_plain<PlainBytes>, read_plain<PlainBytes>, resample_pixels};

}  // namespace m4i
