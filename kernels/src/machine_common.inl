// The portable forms, included by each machine_*.cpp inside its own unnamed namespace and compiled with its own flags.
// Needs GCC or Clang: vectors of eight words are theirs, and are split to whatever the instruction set has.

#ifdef __clang__
#define M4I_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else  // GCC has the other one from release 12 on
#define M4I_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, std::remove_reference_t<decltype(a)>{__VA_ARGS__})
#endif

using std::int32_t;
using std::size_t;
using std::uint32_t;
using std::uint64_t;

// Pairs are compared side by side, one a lane of a vector. Lanes work until the longest reference of their group ends, so
// pairs are first brought into order: by the width that the hypothesis needs, then by the length of the reference.
constexpr size_t kOrdered = 512;   // pairs brought into order at once
constexpr uint32_t kLengths = 64;  // longer references are not told apart
constexpr uint32_t kNarrow = 16;   // tokens of the narrowest lane; each width has twice as many as the one before
constexpr uint32_t kWidths = 3;

template <int Width>
using WordOf = std::conditional_t<Width == 0, uint16_t, std::conditional_t<Width == 1, uint32_t, uint64_t>>;

inline uint32_t width_of(uint32_t length) { return uint32_t{length > kNarrow} + uint32_t{length > 2 * kNarrow}; }

// Fills `order` with 0 .. count - 1; `ends[w]`: where the pairs of width w end.
template <typename Token>
void put_in_order(const PairOf<Token>* pairs, size_t count, uint16_t* order, size_t* ends) {
    uint16_t starts[kWidths * kLengths + 1] = {};
    uint8_t buckets[kOrdered];
    for (size_t i = 0; i < count; ++i) {
        const uint32_t bucket = width_of(pairs[i].hypothesis_length) * kLengths +
                                std::min(pairs[i].reference_length, kLengths - 1);
        buckets[i] = static_cast<uint8_t>(bucket);
        ++starts[bucket + 1];
        const char* const tokens = reinterpret_cast<const char*>(pairs[i].reference);
        for (size_t at = 0; at < pairs[i].reference_length * sizeof(Token); at += 64) __builtin_prefetch(tokens + at);
    }
    for (uint32_t bucket = 1; bucket <= kWidths * kLengths; ++bucket) {
        starts[bucket] = static_cast<uint16_t>(starts[bucket] + starts[bucket - 1]);
    }
    for (uint32_t width = 0; width < kWidths; ++width) ends[width] = starts[(width + 1) * kLengths];
    for (size_t i = 0; i < count; ++i) order[starts[buckets[i]]++] = static_cast<uint16_t>(i);
}

struct Results {
    int32_t* subsequence;
    Counts* matches;
    Used* used;
};

// What lanes found, written where it belongs, word by word. `sets`: the n-grams taken, by order.
struct PlainWriter {
    template <typename Lanes>
    static void lengths(Lanes common, const uint16_t* order, size_t count, int32_t* subsequence) {
        for (size_t lane = 0; lane < count; ++lane) subsequence[order[lane]] = std::popcount(common[lane]);
    }

    template <typename Lanes>
    static void ngrams(const Lanes* sets, const uint16_t* order, size_t count, const Results& results) {
        for (size_t lane = 0; lane < count; ++lane) {
            Used& used = results.used[order[lane]];
            Counts& matches = results.matches[order[lane]];
            for (int n = 0; n < kOrders; ++n) {
                used.of[n] = sets[n][lane];
                matches.of[n] = std::popcount(sets[n][lane]);
            }
        }
    }
};

// What is known of the pairs in the lanes after some tokens of their references. `Ngrams`: whether n-grams are counted.
template <typename Word, size_t Many, bool Ngrams>
struct Course {
    typedef Word Lanes __attribute__((vector_size(sizeof(Word) * Many)));

    Lanes open = ~Lanes{};                               // clear bits: the subsequence
    Lanes used1{}, used2{}, used3{}, used4{};            // n-grams taken
    Lanes end1{}, end2{}, end3{};  // where an n-gram of the hypothesis ends that equals the reference's one ending here

    // `hit`: the hypothesis tokens that equal the next reference token.
    void step(Lanes hit) {
        const Lanes taken = open & hit;
        open = (open + taken) | (open & ~hit);
        if constexpr (Ngrams) {
            const Lanes end4 = (end3 + end3) & hit;
            end3 = (end2 + end2) & hit;
            end2 = (end1 + end1) & hit;
            end1 = hit;
            const Lanes free1 = end1 & ~used1, free2 = end2 & ~used2, free3 = end3 & ~used3, free4 = end4 & ~used4;
            used1 |= free1 & -free1;
            used2 |= free2 & -free2;
            used3 |= free3 & -free3;
            used4 |= free4 & -free4;
        }
    }

    template <typename Writer>
    void write(const uint16_t* order, size_t count, const Results& results) {
        Writer::lengths(~open, order, count, results.subsequence);
        if constexpr (Ngrams) {
            const Lanes sets[kOrders] = {used1, used2, used3, used4};
            Writer::ngrams(sets, order, count, results);
        }
    }
};

// Compares up to `Many` pairs. `Hits`: made of a pair; `hits.put(token, word)` writes at which tokens of the hypothesis a
// token stands, as the bits of a `Word`. `Ngrams`: whether n-grams are counted too.
template <typename Hits, typename Word, size_t Many, bool Ngrams, typename Writer, typename Token>
inline void compare_group(const PairOf<Token>* pairs, const uint16_t* order, size_t count, uint64_t* memory,
                          const Results& results) {
    typedef Word Lanes __attribute__((vector_size(sizeof(Word) * Many)));
    auto* const room = reinterpret_cast<Word*>(memory);
    uint32_t longest = 0, shortest = ~uint32_t{0};
    for (size_t lane = 0; lane < count; ++lane) {
        longest = std::max(longest, pairs[order[lane]].reference_length);
        shortest = std::min(shortest, pairs[order[lane]].reference_length);
    }
    // A lane that ends early, or has no pair, hits nothing; most groups are all of one length.
    if (count < Many) shortest = 0;
    std::memset(room + shortest * Many, 0, (longest - shortest) * Many * sizeof(Word));
    for (size_t lane = 0; lane < count; ++lane) {
        const PairOf<Token>& pair = pairs[order[lane]];
        const Hits hits(pair);
        Word* row = room + lane;
        const Token* const end = pair.reference + pair.reference_length;
        for (const Token* token = pair.reference; token != end; ++token, row += Many) hits.put(*token, row);
    }

    Course<Word, Many, Ngrams> course;
    for (size_t j = 0; j < longest; ++j) {
        Lanes hit;
        std::memcpy(&hit, room + j * Many, sizeof hit);
        course.step(hit);
    }
    course.template write<Writer>(order, count, results);
}

// `group<Width, Ngrams>::of(pairs, order, count, room, results)` compares `group<Width, Ngrams>::many` pairs at most.
template <template <typename, int, bool> typename Group, bool Ngrams, typename Token>
inline void compare_in_groups(const PairOf<Token>* pairs, size_t count, uint64_t* room, int32_t* subsequence,
                              Counts* matches, Used* used) {
    for (size_t first = 0; first < count; first += kOrdered) {
        const size_t some = std::min(kOrdered, count - first);
        const Results results{subsequence + first, Ngrams ? matches + first : nullptr, Ngrams ? used + first : nullptr};
        uint16_t order[kOrdered];
        size_t ends[kWidths];
        put_in_order(pairs + first, some, order, ends);
        size_t at = 0;
        const auto take = [&]<int Width>() {
            using Kind = Group<Token, Width, Ngrams>;
            while (at < ends[Width]) {
                const size_t here = std::min(Kind::many, ends[Width] - at);
                Kind::of(pairs + first, order + at, here, room, results);
                at += here;
            }
        };
        take.template operator()<0>();
        take.template operator()<1>();
        take.template operator()<2>();
    }
}

// What a machine compares with: its own `Group`.
template <template <typename, int, bool> typename Group>
struct Comparisons {
    template <typename Token>
    static void compare(const PairOf<Token>* pairs, size_t count, uint64_t* room, int32_t* subsequence, Counts* matches,
                        Used* used) {
        compare_in_groups<Group, true>(pairs, count, room, subsequence, matches, used);
    }

    static void subsequences(const IdPair* pairs, size_t count, uint64_t* room, int32_t* lengths) {
        compare_in_groups<Group, false>(pairs, count, room, lengths, nullptr, nullptr);
    }
};

// Numbers as numbers of 16 bits; whether all fit.
[[maybe_unused]] bool narrow_ids(const Id* ids, size_t count, Small* out) {
    uint32_t largest = 0;
    for (size_t i = 0; i < count; ++i) {
        largest = std::max(largest, static_cast<uint32_t>(ids[i]));
        out[i] = static_cast<Small>(ids[i]);
    }
    return largest <= Small(-1);
}

[[maybe_unused]] Counts unite_used(const Used* used, size_t count) {
    Used all{};
    for (size_t i = 0; i < count; ++i) {
        for (int order = 0; order < kOrders; ++order) all.of[order] |= used[i].of[order];
    }
    Counts counts;
    for (int order = 0; order < kOrders; ++order) counts.of[order] = std::popcount(all.of[order]);
    return counts;
}
