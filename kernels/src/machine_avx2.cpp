// AVX2, BMI2 and POPCNT: x86-64 processors since about 2013.
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

// Bytes below `bound`, as an unsigned comparison.
inline __m256i below(__m256i bytes, int bound) {
    const __m256i last = _mm256_set1_epi8(static_cast<char>(bound - 1));
    return _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, last), bytes);
}

inline __m256i minus(__m256i bytes, char c) { return _mm256_sub_epi8(bytes, _mm256_set1_epi8(c)); }

inline uint64_t bits(__m256i low, __m256i high) {
    return static_cast<uint32_t>(_mm256_movemask_epi8(low)) |
           (uint64_t{static_cast<uint32_t>(_mm256_movemask_epi8(high))} << 32);
}

struct Halves {
    __m256i of[2];
};

inline __m256i upper(__m256i bytes) { return below(minus(bytes, 'A'), 26); }

inline __m256i lowered(__m256i bytes) {
    return _mm256_or_si256(bytes, _mm256_and_si256(upper(bytes), _mm256_set1_epi8(0x20)));
}

// Of lower-cased bytes.
inline __m256i word(__m256i bytes) {
    return _mm256_or_si256(below(minus(bytes, 'a'), 26), below(minus(bytes, '0'), 10));
}

inline __m256i space(__m256i bytes) {
    return _mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(' ')),
                           _mm256_or_si256(below(minus(bytes, 0x09), 5), below(minus(bytes, 0x1C), 4)));
}

Marks mark(const char* text, size_t size) {
    alignas(32) char last[kBlock];
    if (size < kBlock) {  // nothing beyond the text may be read
        std::memset(last, 0, sizeof last);
        std::memcpy(last, text, size);
        text = last;
    }
    const __m256i half = _mm256_set1_epi8(0x0F);
    const auto table = [](const unsigned char* values) {
        return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
    };
    Halves block, kinds;
    for (int i = 0; i < 2; ++i) {
        block.of[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(text + 32 * i));
        const __m256i low = _mm256_shuffle_epi8(table(kLowHalf), _mm256_and_si256(block.of[i], half));
        const __m256i high = _mm256_shuffle_epi8(table(kHighHalf),
                                                 _mm256_and_si256(_mm256_srli_epi16(block.of[i], 4), half));
        kinds.of[i] = _mm256_and_si256(low, high);
    }
    const auto of = [&](unsigned char kind) {
        const __m256i wanted = _mm256_set1_epi8(static_cast<char>(kind)), zero = _mm256_setzero_si256();
        return ~bits(_mm256_cmpeq_epi8(_mm256_and_si256(kinds.of[0], wanted), zero),
                     _mm256_cmpeq_epi8(_mm256_and_si256(kinds.of[1], wanted), zero));
    };
    return {bits(space(block.of[0]), space(block.of[1])), of(kSign), of(kPoint), of(kDigit), of(kDash)};
}

template <Alphabet kAlphabet>
struct CutOne {
    void operator()(const Text& whole, Seen& seen, Cutting& room) const {
        const char* const text = whole.data;
        const size_t size = whole.size;
        char* const bytes = room.bytes + room.at;
        Cutter cutter(room);
        for (size_t at = 0; at < size; at += kBlock) {
            alignas(32) char last[kBlock];
            const size_t here = std::min(kBlock, size - at);
            const char* from = text + at;
            if (here < kBlock) {  // nothing beyond the text may be read
                std::memset(last, 0, sizeof last);
                std::memcpy(last, from, here);
                from = last;
            }
            Halves block;
            for (int half = 0; half < 2; ++half) {
                block.of[half] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 32 * half));
            }
            uint64_t inside;
            if constexpr (kAlphabet == Alphabet::whitespace) {
                const uint64_t real = _bzhi_u64(~uint64_t{0}, static_cast<unsigned>(here));
                const __m256i plain = _mm256_set1_epi8(' '), zero = _mm256_setzero_si256();
                const uint64_t any = bits(space(block.of[0]), space(block.of[1]));
                seen.any += static_cast<uint32_t>(std::popcount(any));
                seen.plain += static_cast<uint32_t>(
                    std::popcount(bits(_mm256_cmpeq_epi8(block.of[0], plain), _mm256_cmpeq_epi8(block.of[1], plain))));
                seen.nul += static_cast<uint32_t>(
                    std::popcount(real & bits(_mm256_cmpeq_epi8(block.of[0], zero), _mm256_cmpeq_epi8(block.of[1], zero))));
                inside = real & ~any;
            } else {
                for (__m256i& half : block.of) half = lowered(half);
                inside = bits(word(block.of[0]), word(block.of[1]));
                if constexpr (kAlphabet == Alphabet::words) {
                    inside |= bits(block.of[0], block.of[1]);  // the top bits: bytes that are not ASCII
                    const __m256i mark = _mm256_set1_epi8('\'');
                    const uint64_t apostrophes =
                        bits(_mm256_cmpeq_epi8(block.of[0], mark), _mm256_cmpeq_epi8(block.of[1], mark));
                    if (apostrophes != 0) {
                        inside = joined(inside, apostrophes, at > 0 && is_word(text[at - 1]),
                                        at + kBlock < size && is_word(text[at + kBlock]));
                    }
                }
            }
            for (int half = 0; half < 2; ++half) {
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes + at + 32 * half), block.of[half]);
            }
            cutter.block(inside, static_cast<uint32_t>(at));
        }
        cutter.finish(static_cast<uint32_t>(size));
    }
};

// A hypothesis of `Words` vectors.
template <typename Token, int Words>
struct Hits;

template <int Words>
struct Hits<Key, Words> {
    explicit Hits(const Pair& pair) {
        const __m256i numbers = _mm256_set_epi64x(3, 2, 1, 0);
        for (int w = 0; w < Words; ++w) {
            const __m256i left = _mm256_set1_epi64x(static_cast<int64_t>(pair.hypothesis_length) - 4 * w);
            hypothesis[w] = _mm256_maskload_epi64(reinterpret_cast<const long long*>(pair.hypothesis + 4 * w),
                                                  _mm256_cmpgt_epi64(left, numbers));
        }
    }

    template <typename Word>
    void put(Key key, Word* word) const {
        const __m256i token = _mm256_set1_epi64x(static_cast<int64_t>(key));
        Word hits = 0;
        for (int w = 0; w < Words; ++w) {
            const __m256i equal = _mm256_cmpeq_epi64(hypothesis[w], token);
            hits |= static_cast<Word>(Word(_mm256_movemask_pd(_mm256_castsi256_pd(equal))) << (4 * w));
        }
        *word = hits;
    }

    __m256i hypothesis[Words];
};

template <int Words>
struct Hits<Id, Words> {
    explicit Hits(const IdPair& pair) {
        const __m256i numbers = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0), none = _mm256_set1_epi32(-1);
        for (int w = 0; w < Words; ++w) {
            const __m256i left = _mm256_set1_epi32(static_cast<int>(pair.hypothesis_length) - 8 * w);
            const __m256i here = _mm256_cmpgt_epi32(left, numbers);
            const __m256i loaded = _mm256_maskload_epi32(pair.hypothesis + 8 * w, here);
            hypothesis[w] = _mm256_blendv_epi8(none, loaded, here);  // 0 is a token: -1 fills what is beyond the last
        }
    }

    template <typename Word>
    void put(Id id, Word* word) const {
        const __m256i token = _mm256_set1_epi32(id);
        Word hits = 0;
        for (int w = 0; w < Words; ++w) {
            const __m256i equal = _mm256_cmpeq_epi32(hypothesis[w], token);
            hits |= static_cast<Word>(Word(_mm256_movemask_ps(_mm256_castsi256_ps(equal))) << (8 * w));
        }
        *word = hits;
    }

    __m256i hypothesis[Words];
};

template <typename Token, int Width, bool Ngrams>
struct Group {
    using Word = WordOf<Width>;
    static constexpr size_t many = 32 / sizeof(Word);
    static constexpr int kWords = static_cast<int>((kNarrow << Width) * sizeof(Token) / 32);

    static void of(const PairOf<Token>* pairs, const uint16_t* order, size_t count, uint64_t* room,
                   const Results& results) {
        compare_group<Hits<Token, kWords>, Word, many, Ngrams, PlainWriter>(pairs, order, count, room, results);
    }
};

using Kernels = Comparisons<Group>;

struct Ops : PlainOps<Ops, 32> {
    using Wide = VectorOf<32, uint32_t>::type;

    static Lanes low(Lanes a, Lanes b) { return (Lanes)_mm256_unpacklo_epi16((__m256i)a, (__m256i)b); }
    static Lanes high(Lanes a, Lanes b) { return (Lanes)_mm256_unpackhi_epi16((__m256i)a, (__m256i)b); }
    static Wide low(Wide a, Wide b) { return (Wide)_mm256_unpacklo_epi32((__m256i)a, (__m256i)b); }
    static Wide high(Wide a, Wide b) { return (Wide)_mm256_unpackhi_epi32((__m256i)a, (__m256i)b); }

    static Lanes rows(const Small* tokens, const uint32_t* texts) {
        const auto row = [&](size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(tokens + texts[i])); };
        return (Lanes)_mm256_inserti128_si256(_mm256_castsi128_si256(row(0)), row(kTurned), 1);
    }
};

struct PlainBytes {
    template <typename Unit>
    PlainBytes(const Unit* text, size_t size, const ptb::PlainWords& but) : doubled(0) {
        Unit last[kBlock];
        if (size < kBlock) {  // nothing beyond the text may be read
            std::memset(last, 0, sizeof last);
            std::memcpy(last, text, size * sizeof(Unit));
            text = last;
        }
        const Halves bytes = {{half(text), half(text + 32)}};
        const auto bits_of = [&](auto is) { return bits(is(bytes.of[0]), is(bytes.of[1])); };
        letters = bits_of([](__m256i half) { return below(minus(lower_bit(half), 'a'), 26); });
        blanks = bits_of([](__m256i half) { return _mm256_cmpeq_epi8(half, _mm256_set1_epi8(' ')); });
        for (const char letter : but.doubled) {
            const __m256i all = _mm256_set1_epi8(letter);
            const uint64_t here = bits_of([&](__m256i half) { return _mm256_cmpeq_epi8(lower_bit(half), all); });
            doubled |= here & (here >> 1);
        }
        for (int i = 0; i < 2; ++i) small.of[i] = lower_bit(bytes.of[i]);
    }

    void write(char* out) const {
        for (int i = 0; i < 2; ++i) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out) + i, small.of[i]);
    }

    Halves small;
    uint64_t letters, blanks, doubled;

private:
    static __m256i lower_bit(__m256i bytes) { return _mm256_or_si256(bytes, _mm256_set1_epi8(0x20)); }
    static __m256i load(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
    static __m256i half(const unsigned char* text) { return load(text); }
    // Units beyond a byte become 255 or 0, which are no letters.
    static __m256i half(const char16_t* text) {
        return _mm256_permute4x64_epi64(_mm256_packus_epi16(load(text), load(text + 16)), 0xD8);
    }
};

}  // namespace

extern const Machine kAvx2;
const Machine kAvx2{"avx2", cut_by<CutOne>, mark, pack_tokens, Kernels::compare<Key>,
                        Kernels::compare<Id>, compare_records<Ops, true>, Kernels::subsequences,
                        compare_records<Ops, false>, compare_wide<PlainWide>, narrow_ids, unite_used,
                        read_plain<PlainBytes>, read_plain<PlainBytes>, resample_pixels};

}  // namespace m4i
