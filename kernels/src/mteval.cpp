#include "mteval.hpp"

#include <array>
#include <cstring>

namespace m4i {
namespace {

enum Kind : unsigned char { word, digit, space, symbol, point, dash };

constexpr std::array<Kind, 128> kinds_of_ascii() {
    std::array<Kind, 128> kinds{};
    const auto set = [&](int first, int last, Kind kind) {
        for (int c = first; c <= last; ++c) kinds[static_cast<std::size_t>(c)] = kind;
    };
    set('!', '~', symbol);
    for (const int c : {0x27, 0x7F}) kinds[static_cast<std::size_t>(c)] = word;  // the apostrophe parts nothing
    set('0', '9', digit);
    set('A', 'Z', word);
    set('a', 'z', word);
    kinds['.'] = kinds[','] = point;
    kinds['-'] = dash;
    set(0x09, 0x0D, space);
    set(0x1C, ' ', space);
    return kinds;
}

constexpr std::array<Kind, 128> kKinds = kinds_of_ascii();

Kind kind_of(char c) { return kKinds[static_cast<unsigned char>(c) & 0x7F]; }

}  // namespace

bool plain_for_13a(const char* text, std::size_t size) {
    return std::memchr(text, '&', size) == nullptr && std::memchr(text, '\n', size) == nullptr &&
           std::memchr(text, '<', size) == nullptr;
}

std::size_t split_13a(const char* text, std::size_t size, std::uint32_t base, std::uint32_t* starts,
                      std::uint32_t* ends) {
    std::size_t found = 0;
    bool open = false;
    const auto place = [&](std::size_t at) { return base + static_cast<std::uint32_t>(at); };
    const auto begin = [&](std::size_t at) {
        if (!open) starts[found] = place(at);
        open = true;
    };
    const auto close = [&](std::size_t at) {
        if (open) ends[found++] = place(at);
        open = false;
    };
    const auto alone = [&](std::size_t at) {
        close(at);
        starts[found] = place(at);
        ends[found++] = place(at + 1);
    };
    const auto is_digit = [&](std::size_t at) { return at < size && kind_of(text[at]) == digit; };

    for (std::size_t at = 0; at < size;) {
        switch (kind_of(text[at])) {
            case word:
            case digit:
                begin(at++);
                break;
            case space:
                close(at++);
                break;
            case symbol:
                alone(at++);
                break;
            case dash:
                if (at > 0 && is_digit(at - 1)) {
                    alone(at++);
                } else {
                    begin(at++);
                }
                break;
            case point: {
                std::size_t end = at;
                while (end < size && kind_of(text[end]) == point) ++end;
                const bool after_digit = at > 0 && is_digit(at - 1), odd = (end - at) % 2 == 1;
                if (is_digit(end) && after_digit == odd) {
                    // mteval takes points two at a time, and so leaves the last one to the number: 3.5, a..5
                    if (end - at > 1 || !after_digit) {
                        while (at + 1 < end) alone(at++);
                        close(at);
                    }
                    begin(end - 1);
                } else {
                    while (at < end) alone(at++);
                }
                at = end;
                break;
            }
        }
    }
    close(size);
    return found;
}

}  // namespace m4i
