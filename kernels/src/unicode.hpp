// Texts that are not ASCII as bytes that a TokenStream cuts: what a character is, Python has said, once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace m4i::unicode {

// Python's own answers, so that a character means the same in every backend. They must work without the GIL.
struct Characters {
    char32_t (*lower)(char32_t);  // the first one, where lower() makes several: of U+0130 alone
    bool (*letter_or_digit)(char32_t);
    bool (*space)(char32_t);
};

// Asked before the first write(); once a process.
void set_characters(const Characters& characters);

// Units as Python keeps them. `width`: bytes of one.
struct Units {
    const void* data;
    std::size_t size;
    int width;
};

// What becomes of a character. ASCII stays as it is in all of them; what is not told otherwise becomes UTF-8, lone
// surrogates passed through.
enum class Form : int {
    plain = 0,
    parted = 1,  // white space becomes a tab: it parts as a space does, but is none
    words = 2,   // letters and digits become lower case, U+2019 an apostrophe, all others a space
    ascii = 3,   // a character whose lower case is ASCII becomes that, all others a space
};
inline constexpr int kForms = 4;

// Bytes that write() may touch.
constexpr std::size_t room_for(std::size_t size) { return 4 * size + 8; }

// Gives the end of what was written.
char* write(Form form, const Units& units, char* out);

// Whether the text is in NFC and lower() goes character by character, by what its characters are alone. Where this says
// no, they may be so still.
bool settled(const Units& units);

}  // namespace m4i::unicode
