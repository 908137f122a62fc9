// What machine_wide.inl needs of AVX-512; included by machine_avx512.cpp alone.

// The bits of some words, in vectors.
template <size_t Words>
struct WideRow {
    static constexpr int kVectors = Words <= 8 ? 1 : 2;
    static constexpr size_t kStride = 8 * kVectors;

    __m512i of[kVectors];

    static WideRow after(const uint64_t* before, const uint64_t* hits) {
        WideRow row;
        for (int v = 0; v < kVectors; ++v) row.of[v] = _mm512_load_si512(before + 8 * v);
        return row.then(hits);
    }

    bool any() const {
        __m512i all = of[0];
        if constexpr (kVectors == 2) all = _mm512_or_si512(all, of[1]);
        return _mm512_test_epi64_mask(all, all) != 0;
    }

    WideRow then(const uint64_t* hits) const {
        WideRow row;
        __m512i before = _mm512_setzero_si512();
        for (int v = 0; v < kVectors; ++v) {
            const __m512i next = _mm512_shldi_epi64(of[v], _mm512_alignr_epi64(of[v], before, 7), 1);
            row.of[v] = _mm512_and_si512(next, _mm512_load_si512(hits + 8 * v));
            before = of[v];
        }
        return row;
    }

    PlainRow<Words> plain() const {
        alignas(64) uint64_t words[8 * kVectors];
        for (int v = 0; v < kVectors; ++v) _mm512_store_si512(words + 8 * v, of[v]);
        PlainRow<Words> row;
        std::copy_n(words, Words, row.of);
        return row;
    }
};

struct Wide512 {
    template <size_t Words>
    using Row = WideRow<Words>;

    static Kept keep(const Small* numbers, size_t count, Small* kept, Small* joints) {
        constexpr size_t many = 32;
        const auto put = [](Small* to, uint32_t chosen, __m512i values) {
            _mm512_storeu_si512(to, _mm512_maskz_compress_epi16(chosen, values));
            return static_cast<size_t>(std::popcount(chosen));
        };
        Kept found{};
        uint32_t before = numbers[-1] != 0;
        __m512i places = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(counting()));
        for (size_t i = 0; i < count; i += many) {
            const uint32_t real = _bzhi_u32(~uint32_t{0}, static_cast<unsigned>(std::min(many, count - i)));
            const __m512i here = _mm512_loadu_si512(numbers + i);
            const uint32_t known = real & _mm512_test_epi16_mask(here, here);
            found.tokens += put(kept + found.tokens, known, here);
            found.joints += put(joints + found.joints, known & ((known << 1) | before), places);
            before = known >> (many - 1);
            places = _mm512_add_epi16(places, _mm512_set1_epi16(many));
        }
        return found;
    }
};
