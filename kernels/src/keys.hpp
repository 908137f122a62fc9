// Tokens as 64-bit keys: equal keys, equal tokens, and never otherwise.
//
// A token of up to eight bytes of UTF-8 is its own key: its bytes, zero-padded. That holds for most words of a caption, so
// most tokens are compared without a dictionary. Every other token (longer; or with a NUL inside, which padding could not
// tell from the end) is numbered by an Interner, top bit set and the next 31 not: no token's own bytes look like that, for
// only eight bytes reach the top, and none of them is zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace m4i {

using Key = std::uint64_t;
using Id = std::int32_t;      // a token that the caller has numbered, from 0
using Small = std::uint16_t;  // the same, where it fits

inline constexpr Key kNone = 0;                        // padding; no token has it
inline constexpr Key kNumbered = std::uint64_t{1} << 63;
inline constexpr Key kEmptyToken = kNumbered;          // str.split(" ") gives empty tokens
inline constexpr Key kUnknown = ~Key{0};               // equals no token of a reference

class Interner {
public:
    Interner();

    // The key of a token that is not its own key; the same for the same bytes as long as clear() is not called.
    Key number(const char* begin, std::size_t length);

    // The same without learning: kNone where the token was never numbered here. Safe from many threads.
    Key find(const char* begin, std::size_t length) const;

    // Forget all tokens. Keys given before must not be compared with later ones.
    void clear();

    std::size_t size() const { return tokens_.size(); }

private:
    struct Slot {
        std::uint64_t hash;
        std::uint32_t number;  // 1 + index into tokens_; 0: free
    };
    struct Span {
        std::size_t begin;
        std::size_t length;
    };

    static std::uint64_t hash_of(const char* begin, std::size_t length);
    std::size_t slot_of(std::uint64_t hash, const char* begin, std::size_t length) const;
    void grow();

    std::vector<Slot> slots_;
    std::vector<Span> tokens_;
    std::vector<char> bytes_;
};

}  // namespace m4i
