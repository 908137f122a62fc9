#include "tokens.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace m4i {
namespace {

constexpr std::uint64_t kMixA = 0x9E3779B97F4A7C15ull;
constexpr std::uint64_t kMixB = 0xD6E8FEB86659FD93ull;

// Lower-case letter or digit, or 0 for a byte that parts words.
constexpr std::array<char, 256> kWordByte = [] {
    std::array<char, 256> table{};
    for (int c = '0'; c <= '9'; ++c) table[c] = static_cast<char>(c);
    for (int c = 'a'; c <= 'z'; ++c) table[c] = static_cast<char>(c);
    for (int c = 'A'; c <= 'Z'; ++c) table[c] = static_cast<char>(c - 'A' + 'a');
    return table;
}();

char word_byte(char c) { return kWordByte[static_cast<unsigned char>(c)]; }

// How many bytes of white space begin here, 0 for none: the characters at which Python's str.split() splits.
std::size_t white_space(const char* at, const char* end) {
    const auto byte = [&](std::size_t i) { return at + i < end ? static_cast<unsigned char>(at[i]) : 0u; };
    const unsigned c = byte(0);
    if (c < 0x80) return c == 0x20 || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F) ? 1 : 0;
    if (c == 0xC2) return byte(1) == 0x85 || byte(1) == 0xA0 ? 2 : 0;  // next line, no-break space
    if (c == 0xE1) return byte(1) == 0x9A && byte(2) == 0x80 ? 3 : 0;  // ogham space
    if (c == 0xE2 && byte(1) == 0x80) {                                // U+2000..200A, 2028, 2029, 202F
        const unsigned last = byte(2);
        return (last >= 0x80 && last <= 0x8A) || last == 0xA8 || last == 0xA9 || last == 0xAF ? 3 : 0;
    }
    if (c == 0xE2) return byte(1) == 0x81 && byte(2) == 0x9F ? 3 : 0;  // medium mathematical space
    if (c == 0xE3) return byte(1) == 0x80 && byte(2) == 0x80 ? 3 : 0;  // ideographic space
    return 0;
}

std::uint64_t load(const char* at) {
    std::uint64_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

std::uint64_t load_head(const char* at, std::size_t length) {
    if (length >= 8) return load(at);
    if constexpr (std::endian::native == std::endian::little) {
        return load(at) & ((std::uint64_t{1} << (8 * length)) - 1);
    } else {
        std::uint64_t value = 0;
        std::memcpy(&value, at, length);
        return value;
    }
}

void append(std::vector<Token>& tokens, const char* begin, const char* end) {
    const auto length = static_cast<std::size_t>(end - begin);
    const std::uint64_t head = load_head(begin, length);
    std::uint64_t hash = (head ^ (length * kMixB)) * kMixA;
    if (length > 8) {
        for (std::size_t at = 8; at + 8 < length; at += 8) hash = (std::rotl(hash, 29) ^ load(begin + at)) * kMixA;
        hash = (std::rotl(hash, 29) ^ load(begin + length - 8)) * kMixA;
    }
    hash = (hash ^ (hash >> 32)) * kMixB;
    tokens.push_back({begin, length, head, hash});
}

// Runs of letters and digits in lower case; with `apostrophes`, one apostrophe between two of them stays inside the word.
void split_words(Text text, bool apostrophes, std::vector<Token>& tokens) {
    char* at = text.begin;
    while (true) {
        while (at < text.end && !word_byte(*at)) ++at;
        if (at == text.end) return;
        char* const begin = at;
        while (at < text.end) {
            if (const char lowered = word_byte(*at)) {
                *at++ = lowered;
            } else if (apostrophes && *at == '\'' && at + 1 < text.end && word_byte(at[1])) {
                ++at;
            } else {
                break;
            }
        }
        append(tokens, begin, at);
    }
}

void split_white_space(Text text, std::vector<Token>& tokens) {
    const char* at = text.begin;
    while (true) {
        while (at < text.end) {
            const std::size_t width = white_space(at, text.end);
            if (width == 0) break;
            at += width;
        }
        if (at == text.end) return;
        const char* const begin = at;
        while (at < text.end && white_space(at, text.end) == 0) ++at;
        append(tokens, begin, at);
    }
}

// As str.split(" "): n spaces give n + 1 tokens, some of them empty.
void split_spaces(Text text, std::vector<Token>& tokens) {
    const char* begin = text.begin;
    while (true) {
        const char* const space = std::find(begin, static_cast<const char*>(text.end), ' ');
        append(tokens, begin, space);
        if (space == text.end) return;
        begin = space + 1;
    }
}

bool equal(const Token& a, const Token& b) {
    return a.head == b.head && a.length == b.length &&
           (a.length <= 8 || std::memcmp(a.begin + 8, b.begin + 8, a.length - 8) == 0);
}

}  // namespace

void tokenise(Text text, Tokeniser tokeniser, Stream stream, std::vector<Token>& tokens) {
    tokens.clear();
    switch (tokeniser) {
        case Tokeniser::words:
        case Tokeniser::rouge_score:
            if (!text.ready) {
                split_words(text, tokeniser == Tokeniser::words, tokens);
            } else if (text.begin != text.end) {
                split_spaces(text, tokens);
            }
            return;
        case Tokeniser::whitespace:
            split_white_space(text, tokens);
            return;
        case Tokeniser::coco_space:
            if (stream == Stream::ngrams) {
                split_white_space(text, tokens);
            } else {
                split_spaces(text, tokens);
            }
            return;
    }
}

bool single_spaced(Text text, const std::vector<Token>& tokens) {
    if (tokens.empty()) return false;
    const char* expected = text.begin;
    for (const Token& token : tokens) {
        if (token.begin != expected) return false;
        const char* const end = token.begin + token.length;
        if (end == text.end) return true;
        if (*end != ' ') return false;
        expected = end + 1;
    }
    return false;
}

void Dictionary::fill(const std::vector<Token>& tokens, std::vector<std::int32_t>& ids) {
    const std::size_t capacity = std::bit_ceil(std::max<std::size_t>(16, 2 * tokens.size()));
    shift_ = 64 - std::countr_zero(capacity);
    slots_.assign(capacity, -1);
    known_.clear();
    ids.clear();
    for (const Token& token : tokens) {
        const std::size_t slot = slot_of(token);
        if (slots_[slot] < 0) {
            slots_[slot] = static_cast<std::int32_t>(known_.size());
            known_.push_back(token);
        }
        ids.push_back(slots_[slot]);
    }
}

void Dictionary::look_up(const std::vector<Token>& tokens, std::vector<std::int32_t>& ids) const {
    ids.clear();
    for (const Token& token : tokens) ids.push_back(slots_[slot_of(token)]);
}

std::size_t Dictionary::slot_of(const Token& token) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = token.hash >> shift_;
    while (slots_[slot] >= 0 && !equal(known_[static_cast<std::size_t>(slots_[slot])], token)) slot = (slot + 1) & mask;
    return slot;
}

}  // namespace m4i
