// AVX-512 with VBMI2, BITALG and VPOPCNTDQ: Ice Lake, Zen 4 and later.
#include <immintrin.h>

#include <algorithm>
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

inline uint64_t between(__m512i bytes, char first, int count) {
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, _mm512_set1_epi8(first)),
                                  _mm512_set1_epi8(static_cast<char>(count)));
}


inline __m512i counting() {  // 0, 1, 2 ...
    return _mm512_set_epi8(63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40,
                           39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
                           15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
}

struct Block {
    __m512i bytes;    // zero outside tokens
    uint64_t inside;  // bit i for byte i
};

// The block at `at`, told apart.
template <Alphabet kAlphabet>
[[gnu::always_inline]] inline Block told(const char* text, size_t size, size_t at, Seen& seen) {
    const uint64_t real = _bzhi_u64(~uint64_t{0}, static_cast<unsigned>(std::min(kBlock, size - at)));
    __m512i block = _mm512_maskz_loadu_epi8(real, text + at);
    uint64_t inside;
    if constexpr (kAlphabet == Alphabet::whitespace) {
        const uint64_t plain = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(' '));
        const uint64_t any = plain | between(block, 0x09, 5) | between(block, 0x1C, 4);
        inside = real & ~any;
        seen.any += static_cast<uint32_t>(std::popcount(any));
        seen.plain += static_cast<uint32_t>(std::popcount(plain));
        seen.nul += static_cast<uint32_t>(std::popcount(real & _mm512_testn_epi8_mask(block, block)));
    } else {
        const uint64_t upper = between(block, 'A', 26);
        inside = upper | between(block, 'a', 26) | between(block, '0', 10);
        if constexpr (kAlphabet == Alphabet::words) inside |= _mm512_movepi8_mask(block);
        block = _mm512_mask_add_epi8(block, upper, block, _mm512_set1_epi8(0x20));
        if constexpr (kAlphabet == Alphabet::words) {
            const uint64_t apostrophes = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('\''));
            if (apostrophes != 0) {
                inside = joined(inside, apostrophes, at > 0 && is_word(text[at - 1]),
                                at + kBlock < size && is_word(text[at + kBlock]));
            }
        }
    }
    return {_mm512_maskz_mov_epi8(inside, block), inside};
}

struct Eighths {
    alignas(64) unsigned char of[4][64];
};
constexpr Eighths eighths() {  // eight times each of 0 .. 7, then of 8 .. 15, and so on
    Eighths made{};
    for (unsigned part = 0; part < 4; ++part) {
        for (unsigned i = 0; i < 64; ++i) made.of[part][i] = static_cast<unsigned char>(8 * part + i / 8);
    }
    return made;
}
constexpr Eighths kEighths = eighths();

// Eight keys: the bytes of two blocks from each of the places `begins[8 * part]` and following up to the next zero byte.
inline __m512i eight_keys(__m512i begins, int part, __m512i here, __m512i next) {
    const __m512i steps = _mm512_set1_epi64(0x0706050403020100), which = _mm512_load_si512(kEighths.of[part]);
    const __m512i places = _mm512_add_epi8(_mm512_permutexvar_epi8(which, begins), steps);
    const __m512i bytes = _mm512_permutex2var_epi8(here, places, next);
    // The lowest top bit that is set stands in the first zero byte.
    const __m512i less = _mm512_sub_epi64(bytes, _mm512_set1_epi8(1));
    const __m512i top = _mm512_set1_epi8(static_cast<char>(0x80));
    const __m512i zeros = _mm512_ternarylogic_epi64(less, bytes, top, 0x20);  // a & ~b & c
    const __m512i below = _mm512_add_epi64(zeros, _mm512_set1_epi64(-1));
    return _mm512_ternarylogic_epi64(bytes, zeros, below, 0x60);  // a & (b ^ c)
}

template <Alphabet kAlphabet>
struct CutOne {
    [[gnu::always_inline]] void operator()(const Text& text, Seen& seen, Cutting& room) const {
        const __m512i places = counting();
        char* const bytes = room.bytes + room.at;
        size_t tokens = room.tokens, listed = room.listed;
        uint64_t before = 0;
        if (text.size == 0) return;
        Block here = told<kAlphabet>(text.data, text.size, 0, seen);
        for (size_t at = 0; at < text.size; at += kBlock) {
            // Tokens that begin in this block may reach into the next one.
            Block next{_mm512_setzero_si512(), 0};
            if (at + kBlock < text.size) next = told<kAlphabet>(text.data, text.size, at + kBlock, seen);
            _mm512_storeu_si512(bytes + at, here.bytes);
            const uint64_t starts = here.inside & ~((here.inside << 1) | before);
            before = here.inside >> 63;
            const __m512i begins = _mm512_maskz_compress_epi8(starts, places);
            const auto put = [&](int part) {
                _mm512_storeu_si512(room.keys + tokens + 8 * part, eight_keys(begins, part, here.bytes, next.bytes));
            };
            put(0);
            put(1);
            const auto count = static_cast<size_t>(std::popcount(starts));
            if (count > 16) [[unlikely]] {
                put(2);
                put(3);
            }

            // Tokens of more than eight bytes.
            const auto later = [](uint64_t low, uint64_t high, int by) { return (low >> by) | (high << (64 - by)); };
            const uint64_t two = here.inside & later(here.inside, next.inside, 1), two_on = next.inside & (next.inside >> 1);
            const uint64_t four = two & later(two, two_on, 2), four_on = two_on & (two_on >> 2);
            const uint64_t longer = starts & four & later(four, four_on, 4) & later(here.inside, next.inside, 8);
            const auto spread = [&](uint64_t bits) {
                return _mm512_cvtepu8_epi64(_mm512_castsi512_si128(_mm512_maskz_compress_epi8(bits, places)));
            };
            const __m512i found = _mm512_or_si512(spread(_pext_u64(longer, starts)), _mm512_slli_epi64(spread(longer), 32));
            const __m512i from = _mm512_set1_epi64(static_cast<int64_t>(tokens | ((room.at + at) << 32)));
            _mm512_storeu_si512(room.others + listed, _mm512_add_epi32(found, from));
            listed += static_cast<size_t>(std::popcount(longer));
            tokens += count;
            here = next;
        }
        bytes[text.size] = '\0';
        room.tokens = tokens;
        room.listed = listed;
    }
};

Marks mark(const char* text, size_t size) {
    const uint64_t real = _bzhi_u64(~uint64_t{0}, static_cast<unsigned>(size));
    const __m512i block = _mm512_maskz_loadu_epi8(real, text), half = _mm512_set1_epi8(0x0F);
    const auto table = [](const unsigned char* values) {
        return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
    };
    const __m512i low = _mm512_shuffle_epi8(table(kLowHalf), _mm512_and_si512(block, half));
    const __m512i high =
        _mm512_shuffle_epi8(table(kHighHalf), _mm512_and_si512(_mm512_srli_epi16(block, 4), half));
    const __m512i kinds = _mm512_and_si512(low, high);
    const auto of = [&](unsigned char kind) {
        return _mm512_test_epi8_mask(kinds, _mm512_set1_epi8(static_cast<char>(kind)));
    };
    const uint64_t plain = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(' '));
    return {plain | between(block, 0x09, 5) | between(block, 0x1C, 4), of(kSign), of(kPoint), of(kDigit), of(kDash)};
}

// A hypothesis of `Words` vectors.
template <typename Token, int Words>
struct Hits;

template <int Words>
struct Hits<Key, Words> {
    explicit Hits(const Pair& pair) {
        for (int w = 0; w < Words; ++w) {
            const int left = std::max(0, static_cast<int>(pair.hypothesis_length) - 8 * w);
            hypothesis[w] = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(_bzhi_u32(0xFF, static_cast<unsigned>(left))),
                                                     pair.hypothesis + 8 * w);
        }
    }

    void put(Key key, void* word) const {
        const __m512i token = _mm512_set1_epi64(static_cast<int64_t>(key));
        for (int w = 0; w < Words; ++w) {
            _store_mask8(static_cast<__mmask8*>(word) + w, _mm512_cmpeq_epi64_mask(hypothesis[w], token));
        }
    }

    __m512i hypothesis[Words];
};

template <int Words>
struct Hits<Id, Words> {
    explicit Hits(const IdPair& pair) {
        for (int w = 0; w < Words; ++w) {
            const int left = std::max(0, static_cast<int>(pair.hypothesis_length) - 16 * w);
            const auto here = static_cast<__mmask16>(_bzhi_u32(0xFFFF, static_cast<unsigned>(left)));
            // 0 is a token: -1 fills what is beyond the last.
            hypothesis[w] = _mm512_mask_loadu_epi32(_mm512_set1_epi32(-1), here, pair.hypothesis + 16 * w);
        }
    }

    void put(Id id, void* word) const {
        const __m512i token = _mm512_set1_epi32(id);
        for (int w = 0; w < Words; ++w) {
            _store_mask16(static_cast<__mmask16*>(word) + w, _mm512_cmpeq_epi32_mask(hypothesis[w], token));
        }
    }

    __m512i hypothesis[Words];
};

struct Writer {
    template <typename Lanes>
    static void lengths(Lanes common, const uint16_t* order, size_t count, int32_t* subsequence) {
        using Word = std::remove_reference_t<decltype(common[0])>;
        alignas(64) Word numbers[sizeof(Lanes) / sizeof(Word)];
        _mm512_store_si512(numbers, bits<sizeof(Word)>((__m512i)common));
        for (size_t lane = 0; lane < count; ++lane) subsequence[order[lane]] = static_cast<int32_t>(numbers[lane]);
    }

    template <typename Lanes>
    static void ngrams(const Lanes* sets, const uint16_t* order, size_t count, const Results& results) {
        if constexpr (sizeof(sets[0][0]) == 2) {
            narrow(sets, order, count, results);
        } else {
            PlainWriter::ngrams(sets, order, count, results);
        }
    }

private:
    template <size_t Bytes>
    static __m512i bits(__m512i words) {
        return Bytes == 2 ? _mm512_popcnt_epi16(words) : Bytes == 4 ? _mm512_popcnt_epi32(words) : _mm512_popcnt_epi64(words);
    }

    // The four words of a lane side by side, so that each is written by one store.
    template <typename Lanes>
    static void narrow(const Lanes* sets, const uint16_t* order, size_t count, const Results& results) {
        alignas(64) uint64_t used[32], numbers[32];
        const auto set = [&](int n) { return (__m512i)sets[n]; };
        interleave(set(0), set(1), set(2), set(3), used);
        interleave(bits<2>(set(0)), bits<2>(set(1)), bits<2>(set(2)), bits<2>(set(3)), numbers);
        for (size_t lane = 0; lane < count; ++lane) {
            const size_t at = (lane >> 3) * 2 + ((lane & 4) << 1) + ((lane & 3) >> 1) * 16 + (lane & 1);
            const __m128i taken = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(used + at));
            const __m128i matched = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(numbers + at));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(results.used + order[lane]), _mm256_cvtepu16_epi64(taken));
            _mm_storeu_si128(reinterpret_cast<__m128i*>(results.matches + order[lane]), _mm_cvtepu16_epi32(matched));
        }
    }

    static void interleave(__m512i a, __m512i b, __m512i c, __m512i d, uint64_t* out) {
        const __m512i low1 = _mm512_unpacklo_epi16(a, b), high1 = _mm512_unpackhi_epi16(a, b);
        const __m512i low2 = _mm512_unpacklo_epi16(c, d), high2 = _mm512_unpackhi_epi16(c, d);
        _mm512_store_si512(out, _mm512_unpacklo_epi32(low1, low2));
        _mm512_store_si512(out + 8, _mm512_unpacklo_epi32(high1, high2));
        _mm512_store_si512(out + 16, _mm512_unpackhi_epi32(low1, low2));
        _mm512_store_si512(out + 24, _mm512_unpackhi_epi32(high1, high2));
    }
};

template <typename Token, int Width, bool Ngrams>
struct Group {
    using Word = WordOf<Width>;
    static constexpr size_t many = 64 / sizeof(Word);
    static constexpr int kWords = static_cast<int>((kNarrow << Width) * sizeof(Token) / 64);

    static void of(const PairOf<Token>* pairs, const uint16_t* order, size_t count, uint64_t* room,
                   const Results& results) {
        compare_group<Hits<Token, kWords>, Word, many, Ngrams, Writer>(pairs, order, count, room, results);
    }
};

using Kernels = Comparisons<Group>;

struct Ops : PlainOps<Ops, 64> {
    using Wide = VectorOf<64, uint32_t>::type;

    static Lanes low(Lanes a, Lanes b) { return (Lanes)_mm512_unpacklo_epi16((__m512i)a, (__m512i)b); }
    static Lanes high(Lanes a, Lanes b) { return (Lanes)_mm512_unpackhi_epi16((__m512i)a, (__m512i)b); }
    static Wide low(Wide a, Wide b) { return (Wide)_mm512_unpacklo_epi32((__m512i)a, (__m512i)b); }
    static Wide high(Wide a, Wide b) { return (Wide)_mm512_unpackhi_epi32((__m512i)a, (__m512i)b); }

    static Lanes rows(const Small* tokens, const uint32_t* texts) {
        const auto row = [&](size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(tokens + texts[i])); };
        __m512i rows = _mm512_castsi128_si512(row(0));
        rows = _mm512_inserti32x4(rows, row(kTurned), 1);
        rows = _mm512_inserti32x4(rows, row(2 * kTurned), 2);
        return (Lanes)_mm512_inserti32x4(rows, row(3 * kTurned), 3);
    }

    static void take(const Taken& taken, Waiting<32>* row) {
        const auto here = static_cast<__mmask8>(_bzhi_u32(0xFF, static_cast<unsigned>(taken.count)));
        const __m512i begin = _mm512_maskz_loadu_epi64(here, taken.offsets), end = _mm512_maskz_loadu_epi64(here, taken.offsets + 1);
        const __m128i length = _mm512_cvtepi64_epi16(_mm512_sub_epi64(end, begin));
        const __m256i wanted = _mm512_cvtepi64_epi32(_mm512_sub_epi64(begin, _mm512_set1_epi64(taken.base)));
        const __m256i pair = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(taken.pair)), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
        const __m256i said = _mm256_set1_epi32(static_cast<int>(taken.said)), record = _mm256_set1_epi32(static_cast<int>(taken.record));
        const __m128i said_length = _mm_set1_epi16(static_cast<short>(taken.said_length));
        const __mmask8 more = _mm_cmpgt_epi16_mask(length, _mm_set1_epi16(kMiddling));
        for (int i = 0; i < 2; ++i) {
            const auto chosen = static_cast<__mmask8>(i == 0 ? here & ~more : more);
            Waiting<32>& waiting = row[i];
            const size_t at = waiting.count;
            const auto put = [&](void* to, __m256i values) { _mm256_storeu_si256(static_cast<__m256i*>(to), values); };
            _mm_storeu_si128(reinterpret_cast<__m128i*>(waiting.said_length + at), said_length);
            _mm_storeu_si128(reinterpret_cast<__m128i*>(waiting.wanted_length + at), _mm_maskz_compress_epi16(chosen, length));
            put(waiting.said + at, said);
            put(waiting.wanted + at, _mm256_maskz_compress_epi32(chosen, wanted));
            put(waiting.pair + at, _mm256_maskz_compress_epi32(chosen, pair));
            put(waiting.record + at, record);
            waiting.count = at + static_cast<size_t>(std::popcount(chosen));
        }
    }

    static Lanes below(const Small* lengths, uint32_t before) {
        const __m512i left = _mm512_subs_epu16(_mm512_load_si512(lengths), _mm512_set1_epi16(static_cast<short>(before)));
        return ~(Lanes)_mm512_sllv_epi16(_mm512_set1_epi16(-1), left);
    }

    // In halves: comparing whole vectors gives masks, and 0.45 ns a place where this takes 0.34 (Zen 4).
    static void four(const Lanes* said, uint32_t most, const Lanes& valid, const Lanes* wanted, const Lanes& ends,
                     uint32_t at, Lanes* hit) {
        const auto halves = [](const void* lanes) { return static_cast<const __m256i*>(lanes); };
        __m256i low[4] = {}, high[4] = {};
        for (uint32_t i = 0; i < most; ++i) {
            const __m256i bit = _mm256_load_si256(halves(kBits.of[i]));
            for (int k = 0; k < 4; ++k) {
                low[k] = add(low[k], halves(said + i)[0], halves(wanted + k)[0], bit);
                high[k] = add(high[k], halves(said + i)[1], halves(wanted + k)[1], bit);
            }
        }
        const __m512i real = (__m512i)valid, end = (__m512i)ends;
        for (int k = 0; k < 4; ++k) {
            const __mmask32 here = _mm512_cmpgt_epi16_mask(end, _mm512_set1_epi16(static_cast<short>(at + k)));
            const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(low[k]), high[k], 1);
            hit[k] = (Lanes)_mm512_maskz_mov_epi16(here, _mm512_and_si512(both, real));
        }
    }

    template <typename Vector>
    static Vector bits(Vector words) {
        const auto vector = (__m512i)words;
        constexpr size_t bytes = sizeof words[0];
        return (Vector)(bytes == 2 ? _mm512_popcnt_epi16(vector) : bytes == 4 ? _mm512_popcnt_epi32(vector) : _mm512_popcnt_epi64(vector));
    }

    static void add(uint64_t four, Used& taken, Counts& matches) {
        const __m128i words = _mm_cvtsi64_si128(static_cast<int64_t>(four));
        auto* const all = reinterpret_cast<__m256i*>(&taken);
        _mm256_storeu_si256(all, _mm256_or_si256(_mm256_loadu_si256(all), _mm256_cvtepu16_epi64(words)));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(&matches), _mm_cvtepu16_epi32(_mm_popcnt_epi16(words)));
    }

private:
    static __m256i add(__m256i hit, __m256i a, __m256i b, __m256i bit) {
        return _mm256_ternarylogic_epi64(hit, _mm256_cmpeq_epi16(a, b), bit, 0xF8);  // hit | (equal & bit)
    }
};

#include "machine_wide512.inl"

Counts unite(const Used* used, size_t count) {
    __m256i all = _mm256_setzero_si256();
    for (size_t i = 0; i < count; ++i) {
        all = _mm256_or_si256(all, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(used + i)));
    }
    Counts counts;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(&counts), _mm256_cvtepi64_epi32(_mm256_popcnt_epi64(all)));
    return counts;
}

struct PlainBytes {
    PlainBytes(const unsigned char* text, size_t size, const ptb::PlainWords& but)
        : PlainBytes(_mm512_maskz_loadu_epi8(_bzhi_u64(~uint64_t{0}, static_cast<unsigned>(size)), text), but) {}

    // Units beyond a byte become 255, which is no letter.
    PlainBytes(const char16_t* text, size_t size, const ptb::PlainWords& but)
        : PlainBytes(_mm512_inserti64x4(_mm512_castsi256_si512(narrow(text, size)),
                                        narrow(text + 32, size - std::min<size_t>(size, 32)), 1),
                     but) {}

    void write(char* out) const { _mm512_storeu_si512(out, small); }

    __m512i small;
    uint64_t letters, blanks, doubled;

private:
    PlainBytes(__m512i bytes, const ptb::PlainWords& but)
        : small(_mm512_or_si512(bytes, _mm512_set1_epi8(0x20))),
          letters(between(small, 'a', 26)),
          blanks(_mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(' '))),
          doubled(0) {
        for (const char letter : but.doubled) {
            const uint64_t here = _mm512_cmpeq_epi8_mask(small, _mm512_set1_epi8(letter));
            doubled |= here & (here >> 1);
        }
    }

    static __m256i narrow(const char16_t* text, size_t size) {
        const __mmask32 real = _bzhi_u32(~uint32_t{0}, static_cast<unsigned>(std::min<size_t>(size, 32)));
        return _mm512_cvtusepi16_epi8(_mm512_maskz_loadu_epi16(real, text));
    }
};

}  // namespace

extern const Machine kAvx512;
const Machine kAvx512{"avx512", cut_by<CutOne>, mark, pack_tokens, Kernels::compare<Key>,
                        Kernels::compare<Id>, compare_records<Ops, true>, Kernels::subsequences,
                        compare_records<Ops, false>, compare_wide<Wide512>, narrow_ids, unite,
                        read_plain<PlainBytes>, read_plain<PlainBytes>, resample_pixels};

}  // namespace m4i
