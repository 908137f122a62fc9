// Tokens of long texts as numbers of 16 bits: the place of each in a table that is kept from record to record, so that most
// are known. What a key stands for may change from one record to the next: all that is asked of numbers is that equal
// keys have equal ones and others have not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "keys.hpp"

namespace m4i {

class Vocabulary {
public:
    // Makes room for so many tokens more; where too many are known, forgets all, and numbers before are no longer good.
    // False where even then there is no room.
    bool make_room(std::size_t tokens);

    // The numbers of tokens, which are learnt; only after make_room() for all of them.
    template <typename Token>
    void learn(const Token* tokens, std::size_t count, Small* numbers);

    // The same without learning: one that was never learnt gets the number of none that was.
    template <typename Token>
    void find(const Token* tokens, std::size_t count, Small* numbers) const;

    // Above all numbers.
    std::size_t numbers() const { return slots_.size(); }

private:
    // Slots: with fewer at first, too many tokens are not at their own place; with more, they leave the second-level cache.
    static constexpr std::size_t kFirst = std::size_t{1} << 14, kMost = std::size_t{1} << 15;

    std::size_t slot_of(Key key) const { return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ull) >> shift_); }

    std::vector<Key> slots_;  // none before there is a text; kNone where one is free; half of them at least are
    std::size_t known_ = 0;
    int shift_ = 0;
};

}  // namespace m4i
