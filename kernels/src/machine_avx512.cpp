// AVX-512 with VBMI2 and VPOPCNTDQ: Ice Lake, Zen 4 and later.
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "machine.hpp"

namespace m4i {
namespace {

#include "machine_common.inl"

inline uint64_t between(__m512i bytes, char first, int count) {
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, _mm512_set1_epi8(first)),
                                  _mm512_set1_epi8(static_cast<char>(count)));
}

inline bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Writes the numbers of the set bits plus `at`; returns how many. Writes up to kBlock numbers, of which the rest is waste.
inline size_t list_bits(uint64_t bits, uint32_t at, uint32_t* out) {
    const __m512i numbers = _mm512_set_epi8(
        63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36,
        35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7,
        6, 5, 4, 3, 2, 1, 0);
    const __m512i listed = _mm512_maskz_compress_epi8(bits, numbers), base = _mm512_set1_epi32(static_cast<int>(at));
    const size_t count = static_cast<size_t>(std::popcount(bits));
    _mm512_storeu_si512(out, _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(listed))));
    if (count > 16) [[unlikely]] {
        _mm512_storeu_si512(out + 16, _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(listed, 1))));
        _mm512_storeu_si512(out + 32, _mm512_add_epi32(base, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(listed, 2))));
    }
    return count;
}

size_t scan(Alphabet alphabet, const char* text, size_t size, char* bytes, uint32_t base, uint32_t* starts,
            uint32_t* ends, Spaces* spaces) {
    const uint32_t* const first_end = ends;
    Spaces seen{};
    uint64_t before = 0;
    for (size_t at = 0; at < size; at += kBlock) {
        const size_t here = std::min(kBlock, size - at);
        const uint64_t real = _bzhi_u64(~uint64_t{0}, static_cast<unsigned>(here));
        __m512i block = _mm512_maskz_loadu_epi8(real, text + at);
        uint64_t inside;
        if (alphabet == Alphabet::whitespace) {
            const uint64_t plain = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(' '));
            const uint64_t any = plain | between(block, 0x09, 5) | between(block, 0x1C, 4);
            inside = real & ~any;
            seen.any += static_cast<uint32_t>(std::popcount(any));
            seen.plain += static_cast<uint32_t>(std::popcount(plain));
            seen.nul += static_cast<uint32_t>(std::popcount(real & _mm512_testn_epi8_mask(block, block)));
        } else {
            const uint64_t upper = between(block, 'A', 26);
            inside = upper | between(block, 'a', 26) | between(block, '0', 10);
            block = _mm512_mask_add_epi8(block, upper, block, _mm512_set1_epi8(0x20));
            if (alphabet == Alphabet::words) {
                const uint64_t apostrophes = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8('\''));
                if (apostrophes != 0) {
                    inside = joined(inside, apostrophes, at > 0 && is_word(text[at - 1]),
                                    at + kBlock < size && is_word(text[at + kBlock]));
                }
            }
        }
        _mm512_storeu_si512(bytes + at, block);
        const uint64_t shifted = (inside << 1) | before;
        before = inside >> 63;
        starts += list_bits(inside & ~shifted, base + static_cast<uint32_t>(at), starts);
        ends += list_bits(~inside & shifted, base + static_cast<uint32_t>(at), ends);
    }
    if (before != 0) *ends++ = base + static_cast<uint32_t>(size);
    *spaces = seen;
    return static_cast<size_t>(ends - first_end);
}

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

size_t pack(const char* bytes, const uint32_t* starts, const uint32_t* ends, size_t count, Key* keys,
            uint32_t* others) {
    return pack_tokens(bytes, starts, ends, count, keys, others);
}

// `Words`: vectors of eight keys that hold the hypothesis.
template <int Words>
void positions(const Pair& pair, uint64_t* row) {
    __m512i hypothesis[Words];
    for (int w = 0; w < Words; ++w) {
        const int left = std::max(0, static_cast<int>(pair.hypothesis_length) - 8 * w);
        hypothesis[w] = _mm512_maskz_loadu_epi64(static_cast<__mmask8>(_bzhi_u32(0xFF, static_cast<unsigned>(left))),
                                                 pair.hypothesis + 8 * w);
    }
    for (uint32_t j = 0; j < pair.reference_length; ++j, row += kLanes) {
        const __m512i token = _mm512_set1_epi64(static_cast<int64_t>(pair.reference[j]));
        uint64_t hits = 0;
        for (int w = 0; w < Words; ++w) {
            hits |= uint64_t{_mm512_cmpeq_epi64_mask(hypothesis[w], token)} << (8 * w);
        }
        *row = hits;
    }
}

void write_counts(const Finished& done, size_t count, int32_t* subsequence, Counts* matches, Used* used) {
    const __mmask8 lanes = static_cast<__mmask8>(_bzhi_u32(0xFF, static_cast<unsigned>(count)));
    const __m512i closed = _mm512_popcnt_epi64(_mm512_xor_si512((__m512i)done.open, _mm512_set1_epi64(-1)));
    _mm512_mask_cvtepi64_storeu_epi32(subsequence, lanes, closed);

    // From a vector an order to four words a pair.
    const __m512i one = (__m512i)done.used[0], two = (__m512i)done.used[1], three = (__m512i)done.used[2],
                  four = (__m512i)done.used[3];
    const __m512i even12 = _mm512_unpacklo_epi64(one, two), odd12 = _mm512_unpackhi_epi64(one, two);
    const __m512i even34 = _mm512_unpacklo_epi64(three, four), odd34 = _mm512_unpackhi_epi64(three, four);
    const __m512i first = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);       // lanes 0 and 2 of the even ones
    const __m512i second = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);    // lanes 4 and 6
    const __m512i even[2] = {_mm512_permutex2var_epi64(even12, first, even34),
                             _mm512_permutex2var_epi64(even12, second, even34)};
    const __m512i odd[2] = {_mm512_permutex2var_epi64(odd12, first, odd34),
                            _mm512_permutex2var_epi64(odd12, second, odd34)};
    alignas(64) Used rows[kLanes];
    alignas(64) Counts counts[kLanes];
    for (int quarter = 0; quarter < 4; ++quarter) {
        const int half = quarter / 2, side = quarter % 2, lane = 4 * half + 2 * side;
        const __m256i here[2] = {
            side == 0 ? _mm512_castsi512_si256(even[half]) : _mm512_extracti64x4_epi64(even[half], 1),
            side == 0 ? _mm512_castsi512_si256(odd[half]) : _mm512_extracti64x4_epi64(odd[half], 1)};
        for (int next = 0; next < 2; ++next) {
            _mm256_store_si256(reinterpret_cast<__m256i*>(rows + lane + next), here[next]);
            _mm_store_si128(reinterpret_cast<__m128i*>(counts + lane + next),
                            _mm256_cvtepi64_epi32(_mm256_popcnt_epi64(here[next])));
        }
    }
    std::memcpy(used, rows, count * sizeof *rows);
    std::memcpy(matches, counts, count * sizeof *counts);
}

void compare(const Pair* pairs, size_t count, uint64_t* room, int32_t* subsequence, Counts* matches, Used* used) {
    const size_t longest = lay_out(pairs, count, room, [](const Pair& pair, uint64_t* row) {
        if (pair.hypothesis_length <= 8) {
            positions<1>(pair, row);
        } else if (pair.hypothesis_length <= 16) {
            positions<2>(pair, row);
        } else if (pair.hypothesis_length <= 32) {
            positions<4>(pair, row);
        } else {
            positions<8>(pair, row);
        }
    });
    write_counts(run_lanes(room, longest), count, subsequence, matches, used);
}

// A hypothesis of `Words` vectors of sixteen numbers.
template <int Words>
struct IdHits {
    explicit IdHits(const IdPair& pair) {
        for (int w = 0; w < Words; ++w) {
            const int left = std::max(0, static_cast<int>(pair.hypothesis_length) - 16 * w);
            const auto here = static_cast<__mmask16>(_bzhi_u32(0xFFFF, static_cast<unsigned>(left)));
            // 0 is a token: -1 fills what is beyond the last.
            hypothesis[w] = _mm512_mask_loadu_epi32(_mm512_set1_epi32(-1), here, pair.hypothesis + 16 * w);
        }
    }

    uint64_t operator()(Id id) const {
        const __m512i token = _mm512_set1_epi32(id);
        uint64_t hits = 0;
        for (int w = 0; w < Words; ++w) hits |= uint64_t{_mm512_cmpeq_epi32_mask(hypothesis[w], token)} << (16 * w);
        return hits;
    }

    __m512i hypothesis[Words];
};

template <typename Work>
void by_length(const IdPair& pair, Work work) {
    if (pair.hypothesis_length <= 16) {
        work(IdHits<1>(pair));
    } else if (pair.hypothesis_length <= 32) {
        work(IdHits<2>(pair));
    } else {
        work(IdHits<4>(pair));
    }
}

void compare_ids(const IdPair* pairs, size_t count, uint64_t* room, int32_t* subsequence, Counts* matches, Used* used) {
    const size_t longest = lay_out(pairs, count, room, [](const IdPair& pair, uint64_t* row) {
        by_length(pair, [&](const auto& hits) {
            for (uint32_t j = 0; j < pair.reference_length; ++j, row += kLanes) *row = hits(pair.reference[j]);
        });
    });
    write_counts(run_lanes(room, longest), count, subsequence, matches, used);
}

// Eight steps at a time, whatever the length: a loop that ends elsewhere for each pair is guessed wrong for each pair.
void subsequences(const IdPair* pairs, size_t count, int32_t* lengths) {
    constexpr uint32_t kSteps = 8;
    for (size_t i = 0; i < count; ++i) {
        const IdPair& pair = pairs[i];
        by_length(pair, [&](const auto& hits) {
            uint64_t open = ~uint64_t{0};
            for (uint32_t at = 0; at < pair.reference_length; at += kSteps) {
                const auto here = static_cast<__mmask8>(_bzhi_u32(0xFF, pair.reference_length - at));
                alignas(32) Id tokens[kSteps];
                // -2 equals nothing, so the steps beyond the end change nothing.
                _mm256_store_si256(reinterpret_cast<__m256i*>(tokens),
                                   _mm256_mask_loadu_epi32(_mm256_set1_epi32(-2), here, pair.reference + at));
#pragma GCC unroll 8
                for (uint32_t j = 0; j < kSteps; ++j) {
                    const uint64_t taken = open & hits(tokens[j]);
                    open = (open + taken) | (open - taken);
                }
            }
            lengths[i] = std::popcount(~open);
        });
    }
}

Counts unite(const Used* used, size_t count) {
    __m256i all = _mm256_setzero_si256();
    for (size_t i = 0; i < count; ++i) {
        all = _mm256_or_si256(all, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(used + i)));
    }
    Counts counts;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(&counts), _mm256_cvtepi64_epi32(_mm256_popcnt_epi64(all)));
    return counts;
}

}  // namespace

extern const Machine kAvx512;
const Machine kAvx512{"avx512", scan, mark, pack, compare, compare_ids, subsequences, unite};

}  // namespace m4i
