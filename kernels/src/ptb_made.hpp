// What the PTB tokeniser makes of a token before it is written in lower case: quotes, brackets, fractions, money; and which
// tokens are left out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ptb_tables.hpp"

namespace m4i::ptb {

inline constexpr std::array<char, 128> kLower = [] {
    std::array<char, 128> lower{};
    for (int c = 0; c < 128; ++c) {
        lower[static_cast<std::size_t>(c)] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    return lower;
}();

inline constexpr std::size_t kMostBytes = 8;  // what a unit becomes at most, its blank included

inline bool is_visible_ascii(char16_t unit) { return unit > 0x20 && unit < 0x7F; }

// Whether pycocoevalcap leaves a token out.
bool is_removed(const char* token, std::size_t size);

// `alone`: whether the text is one by itself, in which ends of lines are blanks.
void make(Made made, bool alone, std::u16string& token);

// Whether a sigma ends a word, as Java sees words.
class Words {
public:
    Words(const Tables& tables, std::u16string_view units) : tables_(tables), units_(units) {}

    bool ends_at(std::size_t sigma) const;

private:
    bool is(std::size_t at, std::uint8_t bits) const { return (tables_.in_words[units_[at]] & bits) != 0; }
    std::size_t before(std::size_t at) const;
    std::size_t after(std::size_t at) const;
    bool inside(std::size_t at) const;
    bool joined(std::size_t at) const;

    const Tables& tables_;
    std::u16string_view units_;
};

}  // namespace m4i::ptb
