// The portable forms, included by each machine_*.cpp inside its own unnamed namespace and compiled with its own flags.
// Needs GCC or Clang: vectors of eight words are theirs, and are split to whatever the instruction set has.

using std::int32_t;
using std::size_t;
using std::uint32_t;
using std::uint64_t;

typedef uint64_t Lanes __attribute__((vector_size(8 * kLanes)));

[[maybe_unused]] size_t pack_tokens(const char* bytes, const uint32_t* starts, const uint32_t* ends, size_t count,
                                    Key* keys, uint32_t* others) {
    size_t listed = 0;
    for (size_t i = 0; i < count; ++i) {
        const uint32_t length = ends[i] - starts[i];
        uint64_t key;
        if constexpr (std::endian::native == std::endian::little) {
            std::memcpy(&key, bytes + starts[i], sizeof key);
            key &= ~uint64_t{0} >> (64 - 8 * (length < 8 ? length : 8));  // a token has at least one byte
        } else {
            key = 0;
            for (uint32_t at = 0; at < length && at < 8; ++at) {
                key |= uint64_t{static_cast<unsigned char>(bytes[starts[i] + at])} << (8 * at);
            }
        }
        keys[i] = key;
        others[listed] = static_cast<uint32_t>(i);
        listed += (length > 8) | (key >> 63);
    }
    return listed;
}

// Bytes by kind, for mark(): a byte is of each kind whose bit is set for both its halves. Bits 0 to 4 are the signs
// (0x21-0x26, 0x28-0x2B, 0x2F; 0x3A-0x3F; 0x40, 0x60; 0x5B-0x5F; 0x7B-0x7E), 5 the digits, 6 points and commas, 7 the
// dash.
constexpr unsigned char kLowHalf[16] = {0x24, 0x21, 0x21, 0x21, 0x21, 0x21, 0x21, 0x20,
                                        0x21, 0x21, 0x03, 0x1B, 0x5A, 0x9A, 0x5A, 0x0B};
constexpr unsigned char kHighHalf[16] = {0, 0, 0xC1, 0x22, 0x04, 0x08, 0x04, 0x10, 0, 0, 0, 0, 0, 0, 0, 0};
constexpr unsigned char kSign = 0x1F, kDigit = 0x20, kPoint = 0x40, kDash = 0x80;

// Where each reference token stands in its hypothesis: rows of kLanes words in `room`, a row a reference position.
template <typename Token, typename Positions>
inline size_t lay_out(const PairOf<Token>* pairs, size_t count, uint64_t* room, Positions positions) {
    size_t longest = 0;
    for (size_t lane = 0; lane < count; ++lane) longest = std::max<size_t>(longest, pairs[lane].reference_length);
    std::memset(room, 0, longest * kLanes * sizeof *room);
    for (size_t lane = 0; lane < count; ++lane) positions(pairs[lane], room + lane);
    return longest;
}

struct Finished {
    Lanes open;           // bits of the hypothesis that the common subsequence did not close
    Lanes used[kOrders];
};

inline Finished run_lanes(const uint64_t* room, size_t longest) {
    Lanes open = ~Lanes{}, used1{}, used2{}, used3{}, used4{}, end1{}, end2{}, end3{};
    for (size_t j = 0; j < longest; ++j) {
        Lanes hits;
        std::memcpy(&hits, room + j * kLanes, sizeof hits);
        const Lanes taken = open & hits;
        open = (open + taken) | (open & ~hits);
        // endN: where an n-gram of the hypothesis ends that equals the reference's n-gram ending here.
        const Lanes end4 = (end3 << 1) & hits;
        end3 = (end2 << 1) & hits;
        end2 = (end1 << 1) & hits;
        end1 = hits;
        const Lanes free1 = end1 & ~used1, free2 = end2 & ~used2, free3 = end3 & ~used3, free4 = end4 & ~used4;
        used1 |= free1 & -free1;
        used2 |= free2 & -free2;
        used3 |= free3 & -free3;
        used4 |= free4 & -free4;
    }
    return {open, {used1, used2, used3, used4}};
}

[[maybe_unused]] void write_lanes(const Finished& finished, size_t count, int32_t* subsequence, Counts* matches,
                                  Used* used) {
    for (size_t lane = 0; lane < count; ++lane) {
        subsequence[lane] = std::popcount(~finished.open[lane]);
        for (int order = 0; order < kOrders; ++order) {
            used[lane].of[order] = finished.used[order][lane];
            matches[lane].of[order] = std::popcount(used[lane].of[order]);
        }
    }
}

// One pair's subsequence; `hits(token)`: where the token stands in the hypothesis.
template <typename Hits>
[[maybe_unused]] inline int32_t subsequence_by(const IdPair& pair, Hits hits) {
    uint64_t open = ~uint64_t{0};
    for (uint32_t j = 0; j < pair.reference_length; ++j) {
        const uint64_t taken = open & hits(pair.reference[j]);
        open = (open + taken) | (open - taken);
    }
    return std::popcount(~open);
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

// Tokens from two bit streams, block by block: where bytes belong to tokens, and where they do not.
class Edges {
public:
    Edges(uint32_t* starts, uint32_t* ends) : starts_(starts), ends_(ends) {}

    // `inside`: bit i for byte i of the block at `at`.
    void block(uint64_t inside, uint32_t at) {
        const uint64_t shifted = (inside << 1) | before_;
        before_ = inside >> 63;
        for (uint64_t bits = inside & ~shifted; bits != 0; bits &= bits - 1) *starts_++ = at + std::countr_zero(bits);
        for (uint64_t bits = ~inside & shifted; bits != 0; bits &= bits - 1) *ends_++ = at + std::countr_zero(bits);
    }

    // Closes a token that reaches to the very end.
    void finish(uint32_t end) {
        if (before_ != 0) *ends_++ = end;
    }

    uint32_t* ends() const { return ends_; }

private:
    uint32_t* starts_;
    uint32_t* ends_;
    uint64_t before_ = 0;
};

// Whether an apostrophe belongs to the word: letters or digits on both sides.
inline uint64_t joined(uint64_t word, uint64_t apostrophes, bool word_before, bool word_after) {
    const uint64_t left = (word << 1) | uint64_t{word_before}, right = (word >> 1) | (uint64_t{word_after} << 63);
    return word | (apostrophes & left & right);
}
