// Texts cut into keys; included after machine_common.inl, where that is.

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
        listed += length > 8;
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

// Bytes of a text: white space, spaces, NUL. Counted for Alphabet::whitespace.
struct Seen {
    uint32_t any, plain, nul;
};

constexpr size_t kTextsAhead = 6;  // fetched before they are cut: all of them are more than a cache holds

// Texts one after the other; `one(text, seen, room)` cuts one to the places in `room`, whose counts it advances but for
// the texts and the bytes.
template <Alphabet kAlphabet, typename One>
inline void cut_texts(const Text* texts, size_t count, Cutting& out, One one) {
    Cutting room = out;
    for (size_t i = 0; i < count; ++i) {
        const Text& text = texts[i];
        if (text.ready) break;
        if (i + kTextsAhead < count) {
            for (const size_t at : {0, 64}) __builtin_prefetch(texts[i + kTextsAhead].data + at);
        }
        const size_t before = room.tokens, listed = room.listed;
        Seen seen{};
        one(text, seen, room);
        if constexpr (kAlphabet == Alphabet::whitespace) {
            if (seen.nul != 0) {
                room.tokens = before;
                room.listed = listed;
                break;
            }
            const size_t parted = room.tokens - before - 1;  // without a token this equals nothing
            room.single[room.texts] = seen.any == parted && seen.plain == parted;
        }
        room.ends[room.texts++] = room.tokens;
        room.at += room.listed == listed ? 0 : text.size / kBlock * kBlock + kBlock;  // other bytes are not looked at again
    }
    out = room;
}

template <template <Alphabet> typename Cut>
void cut_by(Alphabet alphabet, const Text* texts, size_t count, Cutting& out) {
    const auto with = [&]<Alphabet kAlphabet>() { cut_texts<kAlphabet>(texts, count, out, Cut<kAlphabet>()); };
    switch (alphabet) {
        case Alphabet::words:
            return with.template operator()<Alphabet::words>();
        case Alphabet::rouge_score:
            return with.template operator()<Alphabet::rouge_score>();
        default:
            return with.template operator()<Alphabet::whitespace>();
    }
}

// Keys from a bit stream, block by block: where bytes belong to tokens. A token is made a key where it ends.
class Cutter {
public:
    explicit Cutter(Cutting& room)
        : room_(room), bytes_(room.bytes + room.at), keys_(room.keys + room.tokens), others_(room.others + room.listed) {}

    // `inside`: bit i for byte i of the block at `at`, whose bytes are in their place.
    void block(uint64_t inside, uint32_t at) {
        const uint64_t shifted = (inside << 1) | before_;
        uint64_t starts = inside & ~shifted;
        const auto next = [&] {
            start_ = at + static_cast<uint32_t>(std::countr_zero(starts));
            starts &= starts - 1;
        };
        if (before_ == 0) next();
        before_ = inside >> 63;
        for (uint64_t ends = ~inside & shifted; ends != 0; ends &= ends - 1) {
            add(at + static_cast<uint32_t>(std::countr_zero(ends)));
            next();
        }
    }

    // Closes a token that reaches to the very end.
    void finish(uint32_t end) {
        if (before_ != 0) add(end);
        room_.tokens = static_cast<size_t>(keys_ - room_.keys);
        room_.listed = static_cast<size_t>(others_ - room_.others);
    }

private:
    void add(uint32_t end) {
        const uint32_t length = end - start_;
        uint64_t key = 0;
        if constexpr (std::endian::native == std::endian::little) {
            std::memcpy(&key, bytes_ + start_, sizeof key);
            key &= ~uint64_t{0} >> ((64 - 8 * length) & 63);  // of up to eight bytes
        } else {
            for (uint32_t at = 0; at < length && at < 8; ++at) {
                key |= uint64_t{static_cast<unsigned char>(bytes_[start_ + at])} << (8 * at);
            }
        }
        bytes_[end] = '\0';
        *others_ = {static_cast<uint32_t>(keys_ - room_.keys), static_cast<uint32_t>(room_.at) + start_};
        others_ += length > 8;
        *keys_++ = key;
    }

    Cutting& room_;
    char* bytes_;
    Key* keys_;
    Other* others_;
    uint32_t start_ = 0;  // of the token that is open, or the next one
    uint64_t before_ = 0;
};

// A byte of Alphabet::words.
[[maybe_unused]] inline bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

// Whether an apostrophe belongs to the word: letters or digits on both sides.
inline uint64_t joined(uint64_t word, uint64_t apostrophes, bool word_before, bool word_after) {
    const uint64_t left = (word << 1) | uint64_t{word_before}, right = (word >> 1) | (uint64_t{word_after} << 63);
    return word | (apostrophes & left & right);
}
