// Resampling of 8-bit pixels in integers, in two passes that are rounded to bytes; included where an instruction set is
// chosen. The arithmetic and the order of the passes are Pillow's (weights of 22 bits, a half added, an arithmetic
// shift), so the bytes are, too.

// Sixteen sums of weighted bytes.
#if defined(__AVX512F__) && defined(__AVX512BW__)
struct Sums {
    __m512i sums = _mm512_set1_epi32(1 << (kWeightBits - 1));

    void add(const uint8_t* from, int32_t weight) {
        const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
        sums = _mm512_add_epi32(sums, _mm512_mullo_epi32(bytes, _mm512_set1_epi32(weight)));
    }

    void put(uint8_t* to) const {
        const __m512i whole = _mm512_max_epi32(_mm512_srai_epi32(sums, kWeightBits), _mm512_setzero_si512());
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtusepi32_epi8(whole));
    }
};
#elif defined(__AVX2__)
struct Sums {
    __m256i low = _mm256_set1_epi32(1 << (kWeightBits - 1)), high = low;

    void add(const uint8_t* from, int32_t weight) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
        const __m256i by = _mm256_set1_epi32(weight);
        low = _mm256_add_epi32(low, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(bytes), by));
        high = _mm256_add_epi32(high, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)), by));
    }

    void put(uint8_t* to) const {
        const __m256i pairs = _mm256_permute4x64_epi64(
            _mm256_packs_epi32(_mm256_srai_epi32(low, kWeightBits), _mm256_srai_epi32(high, kWeightBits)), 0xD8);
        const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    }
};
#else
struct Sums {
    int32_t sums[16];

    Sums() { std::fill(sums, sums + 16, 1 << (kWeightBits - 1)); }

    void add(const uint8_t* from, int32_t weight) {
        for (int i = 0; i < 16; ++i) sums[i] += from[i] * weight;
    }

    void put(uint8_t* to) const {
        for (int i = 0; i < 16; ++i) to[i] = static_cast<uint8_t>(std::clamp(sums[i] >> kWeightBits, 0, 255));
    }
};
#endif

// Four rows of `width` pixels of `channels` bytes, as pixels of 16 bytes: four of each row. The last row stands in for
// those that are missing.
inline void gather_rows(const uint8_t* pixels, size_t row, size_t height, size_t width, size_t channels, uint8_t* out) {
    for (size_t r = 0; r < 4; ++r) {
        const uint8_t* from = pixels + std::min(row + r, height - 1) * width * channels;
        uint8_t* to = out + 4 * r;
        if (channels == 4) {
            for (size_t x = 0; x < width; ++x) std::memcpy(to + 16 * x, from + 4 * x, 4);
        } else {
            // Four bytes at a time, of which one belongs to the next pixel and is not looked at; not so at the end.
            for (size_t x = 0; x + 1 < width; ++x) std::memcpy(to + 16 * x, from + 3 * x, 4);
            std::memcpy(to + 16 * (width - 1), from + 3 * (width - 1), 3);
        }
    }
}

// Rows of pixels of `channels` bytes to rows of other length, of four bytes a pixel. `room`: 16 bytes a pixel of a row.
// Up to three rows more are written.
inline void resample_across(const uint8_t* pixels, size_t height, size_t channels, const Filter& across, uint8_t* room,
                            uint8_t* out) {
    const size_t line = 4 * across.out;
    for (size_t row = 0; row < height; row += 4) {
        gather_rows(pixels, row, height, across.in, channels, room);
        for (size_t x = 0; x < across.out; ++x) {
            const uint8_t* from = room + 16 * across.first[x];
            const int32_t* weights = across.weights + x * across.taps;
            Sums sums;
            for (size_t t = 0; t < across.count[x]; ++t) sums.add(from + 16 * t, weights[t]);
            uint8_t four[16];
            sums.put(four);
            for (size_t r = 0; r < 4; ++r) std::memcpy(out + (row + r) * line + 4 * x, four + 4 * r, 4);
        }
    }
}

// Rows of `line` bytes to another number of such rows.
inline void resample_down(const uint8_t* rows, size_t line, const Filter& down, uint8_t* out) {
    for (size_t y = 0; y < down.out; ++y) {
        const uint8_t* from = rows + down.first[y] * line;
        const int32_t* weights = down.weights + y * down.taps;
        uint8_t* to = out + y * line;
        size_t x = 0;
        for (; x + 16 <= line; x += 16) {
            Sums sums;
            for (size_t t = 0; t < down.count[y]; ++t) sums.add(from + t * line + x, weights[t]);
            sums.put(to + x);
        }
        for (; x < line; ++x) {
            int32_t sum = 1 << (kWeightBits - 1);
            for (size_t t = 0; t < down.count[y]; ++t) sum += from[t * line + x] * weights[t];
            to[x] = static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
        }
    }
}

void resample_pixels(const uint8_t* pixels, size_t channels, const Filter& across, const Filter& down, uint8_t* room,
                     uint8_t* out) {
    const size_t width = across.in, height = down.in;
    // Pillow goes down first where that takes off more than twice as much.
    const bool down_first = height > down.out && static_cast<int64_t>(height) - static_cast<int64_t>(down.out) >
                                                     2 * (static_cast<int64_t>(width) - static_cast<int64_t>(across.out));
    uint8_t* const first = room + 16 * width;
    uint8_t* const second = first + resampled_bytes(across, down);
    if (down_first) {
        resample_down(pixels, width * channels, down, first);
        resample_across(first, down.out, channels, across, room, second);
    } else {
        resample_across(pixels, height, channels, across, room, first);
        resample_down(first, 4 * across.out, down, second);
    }
    const size_t count = down.out * across.out;
    for (size_t i = 0; i + 1 < count; ++i) std::memcpy(out + 3 * i, second + 4 * i, 4);
    std::memcpy(out + 3 * (count - 1), second + 4 * (count - 1), 3);
}
