// The characters at which Python's str.split() splits.
#pragma once

#include <cstddef>

namespace m4i {

// How many bytes of white space begin here, 0 for none.
inline std::size_t white_space(const char* at, const char* end) {
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

}  // namespace m4i
