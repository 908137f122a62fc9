// Texts of some hundred tokens, a pair after the other; included after machine_common.inl. A bit for each token of the
// hypothesis, in as many words as it takes.
//
// Tokens are numbered anew for each hypothesis, by where each stands first, so that their rows of bits lie together. Of
// a reference the tokens that the hypothesis has not, number 0, are left out at once: they change no subsequence, and only
// where two others stand side by side can an n-gram of more than one token match.
//
// `Ops`, one a machine: `Row<words>`, the bits of as many words; `keep`. PlainWide has both.

constexpr size_t kWideBits = 64;

// Sizes that are compiled, in words; a hypothesis takes the next one that holds it.
constexpr size_t kWideSizes[] = {1, 2, 3, 4, 5, 6, 8, 12, 16};

template <size_t Words>
struct PlainRow {
    static constexpr size_t kStride = Words;  // in words, from row to row in memory

    uint64_t of[Words];

    bool any() const {
        uint64_t all = 0;
        for (const uint64_t word : of) all |= word;
        return all != 0;
    }

    int32_t count() const {
        int32_t bits = 0;
        for (const uint64_t word : of) bits += std::popcount(word);
        return bits;
    }

    // Where n-grams end whose last token stands at `hits` and whose others end at `before`.
    static PlainRow after(const uint64_t* before, const uint64_t* hits) {
        PlainRow row;
        uint64_t carried = 0;
        for (size_t w = 0; w < Words; ++w) {
            row.of[w] = ((before[w] << 1) | carried) & hits[w];
            carried = before[w] >> (kWideBits - 1);
        }
        return row;
    }

    PlainRow then(const uint64_t* hits) const { return after(of, hits); }

    // Takes the first of `ends` that is not taken yet.
    void take_first(const PlainRow& ends) {
        for (size_t w = 0; w < Words; ++w) {
            const uint64_t free = ends.of[w] & ~of[w];
            if (free == 0) continue;
            of[w] |= free & -free;
            return;
        }
    }

    PlainRow plain() const { return *this; }

    void unite(const PlainRow& other) {
        for (size_t w = 0; w < Words; ++w) of[w] |= other.of[w];
    }
};

// What was left of a piece of a reference.
struct Kept {
    size_t tokens, joints;
};

struct PlainWide {
    template <size_t Words>
    using Row = PlainRow<Words>;

    // Of `count` numbers those that are not 0 to `kept`, and to `joints` the places of those that follow another one.
    // numbers[-1] is the one before. Both have room for kWideSlack more.
    static Kept keep(const Small* numbers, size_t count, Small* kept, Small* joints) {
        Kept found{};
        bool before = numbers[-1] != 0;
        for (size_t i = 0; i < count; ++i) {
            const bool here = numbers[i] != 0;
            kept[found.tokens] = numbers[i];
            joints[found.joints] = static_cast<Small>(i);
            found.tokens += here;
            found.joints += here && before;
            before = here;
        }
        return found;
    }
};

inline bool add_carrying(bool carry, uint64_t a, uint64_t b, uint64_t& sum) {
#if defined(__x86_64__)
    unsigned long long out;
    const unsigned char over = __builtin_ia32_addcarryx_u64(carry, a, b, &out);
    sum = out;
    return over != 0;
#else
    const bool over = __builtin_add_overflow(a, b, &sum);
    return __builtin_add_overflow(sum, uint64_t{carry}, &sum) || over;
#endif
}

template <typename Ops, size_t Words>
class Wide {
public:
    static void compare(const NumberedText* texts, size_t references, WideRoom& room, int32_t* subsequence, Counts* matches,
                        Counts& best) {
        const size_t length = texts[0].length;
        number(texts[0], room);
        Taken united[kOrders - 1] = {};
        const bool several = references > 1;
        if (several) std::fill_n(room.best, length + 1, 0);
        for (size_t i = 0; i < references; ++i) {
            Taken taken[kOrders - 1] = {};
            subsequence[i] = against(texts[1 + i], room, taken);
            matches[i].of[0] = single_tokens(length, several, room);
            for (int n = 1; n < kOrders; ++n) {
                matches[i].of[n] = taken[n - 1].count();
                united[n - 1].unite(taken[n - 1]);
            }
        }
        for (size_t i = 0; i < length; ++i) room.local[texts[0].tokens[i]] = 0;
        best = references == 1 ? matches[0] : Counts{};
        if (several) {
            for (size_t token = 1; token <= length; ++token) best.of[0] += static_cast<int32_t>(room.best[token]);
            for (int n = 1; n < kOrders; ++n) best.of[n] = united[n - 1].count();
        }
    }

private:
    using Row = typename Ops::template Row<Words>;
    using Taken = PlainRow<Words>;
    static constexpr size_t kStride = Row::kStride;

    // Numbers the hypothesis's tokens, each by the first place where it stands, from 1; then where each stands, and how
    // often. From the end to the beginning, so that no store waits for what was known before.
    static void number(const NumberedText& hypothesis, WideRoom& room) {
        const size_t length = hypothesis.length;
        const Small* const tokens = hypothesis.tokens;
        for (size_t i = length; i > 0; --i) room.local[tokens[i - 1]] = static_cast<Small>(i);
        std::memset(room.rows, 0, (length + 1) * kStride * sizeof(uint64_t));
        std::fill_n(room.in_hypothesis, length + 1, 0);
        std::fill_n(room.in_reference, length + 1, 0);
        for (size_t i = 0; i < length; ++i) {
            const size_t token = room.local[tokens[i]];
            room.rows[token * kStride + i / kWideBits] |= uint64_t{1} << (i % kWideBits);
            ++room.in_hypothesis[token];
        }
    }

    // The subsequence; what longer n-grams take to `taken`, what single tokens are there to `room`.
    static int32_t against(const NumberedText& reference, WideRoom& room, Taken* taken) {
        uint64_t open[Words];
        std::fill_n(open, Words, ~uint64_t{0});
        Row twos{}, threes{};  // where n-grams end that end in the reference at
        size_t twos_at = ~size_t{0}, threes_at = ~size_t{0};
        Small* const numbers = room.wanted + 1;
        numbers[-1] = 0;
        for (size_t begin = 0; begin < reference.length; begin += kWidePiece) {
            const size_t count = std::min(kWidePiece, reference.length - begin);
            for (size_t i = 0; i < count; ++i) numbers[i] = room.local[reference.tokens[begin + i]];
            const Kept kept = Ops::keep(numbers, count, room.kept, room.joints);
            subsequence_steps(room, kept.tokens, open);
            for (size_t i = 0; i < kept.tokens; ++i) ++room.in_reference[room.kept[i]];
            const auto row = [&](size_t i) { return room.rows + room.wanted[i] * kStride; };  // of the token before i
            for (size_t i = 0; i < kept.joints; ++i) {
                const size_t at = room.joints[i], place = begin + at;
                const uint64_t* const hits = row(at + 1);
                const Row ends = Row::after(row(at), hits);
                if (!ends.any()) [[likely]] continue;
                taken[0].take_first(ends.plain());
                if (twos_at == place - 1) {
                    const Row longer = twos.then(hits);
                    if (longer.any()) {
                        taken[1].take_first(longer.plain());
                        if (threes_at == place - 1) taken[2].take_first(threes.then(hits).plain());
                        threes = longer;
                        threes_at = place;
                    }
                }
                twos = ends;
                twos_at = place;
            }
            numbers[-1] = numbers[count - 1];
        }
        int32_t closed = 0;
        for (const uint64_t word : open) closed += std::popcount(~word);
        return closed;
    }

    // As in lcs.hpp, word by word.
    static void subsequence_steps(const WideRoom& room, size_t count, uint64_t* open) {
        uint64_t now[Words];
        std::copy_n(open, Words, now);
        for (size_t i = 0; i < count; ++i) {
            const uint64_t* const hits = room.rows + room.kept[i] * kStride;
            uint64_t hit[Words], sum[Words];
            for (size_t w = 0; w < Words; ++w) hit[w] = now[w] & hits[w];
            bool carry = false;
            for (size_t w = 0; w < Words; ++w) carry = add_carrying(carry, now[w], hit[w], sum[w]);
            for (size_t w = 0; w < Words; ++w) now[w] = sum[w] | (now[w] ^ hit[w]);
        }
        std::copy_n(now, Words, open);
    }

    // How many single tokens match; what counted them is 0 again.
    static int32_t single_tokens(size_t length, bool several, WideRoom& room) {
        uint32_t sum = 0;
        for (size_t token = 1; token <= length; ++token) {
            const uint32_t shared = std::min(room.in_hypothesis[token], room.in_reference[token]);
            room.in_reference[token] = 0;
            sum += shared;
            if (several) room.best[token] = std::max(room.best[token], shared);
        }
        return static_cast<int32_t>(sum);
    }
};

template <typename Ops>
void compare_wide(const NumberedText* texts, size_t references, WideRoom& room, int32_t* subsequence, Counts* matches,
                  Counts& best) {
    const auto with = [&]<size_t Words>() {
        Wide<Ops, Words>::compare(texts, references, room, subsequence, matches, best);
    };
    const size_t needed = (texts[0].length + kWideBits - 1) / kWideBits;
    switch (*std::lower_bound(std::begin(kWideSizes), std::end(kWideSizes), needed)) {
        case 1: return with.template operator()<1>();
        case 2: return with.template operator()<2>();
        case 3: return with.template operator()<3>();
        case 4: return with.template operator()<4>();
        case 5: return with.template operator()<5>();
        case 6: return with.template operator()<6>();
        case 8: return with.template operator()<8>();
        case 12: return with.template operator()<12>();
        default: return with.template operator()<16>();
    }
}
