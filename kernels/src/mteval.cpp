#include "mteval.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace m4i {
namespace {

enum Kind : unsigned char { word, digit, space, symbol, point, dash };

constexpr std::array<Kind, 256> kinds_of_bytes() {
    std::array<Kind, 256> kinds{};  // all that is not ASCII is a part of words
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

constexpr std::array<Kind, 256> kKinds = kinds_of_bytes();

Kind kind_of(char c) { return kKinds[static_cast<unsigned char>(c)]; }

template <typename Unit>
bool has_replaced(const void* text, std::size_t size) {
    const Unit* const units = static_cast<const Unit*>(text);
    bool any = false;  // no branch, so that many are looked at together
    for (std::size_t i = 0; i < size; ++i) any |= (units[i] == '&') | (units[i] == '\n') | (units[i] == '<');
    return any;
}

// Character by character: for texts where points follow points.
std::size_t split_slowly(const char* text, std::size_t size, std::uint32_t base, std::uint32_t* starts,
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

}  // namespace

bool plain_for_13a(const unicode::Units& text) {
    if (text.width == 2) return !has_replaced<char16_t>(text.data, text.size);
    if (text.width == 4) return !has_replaced<char32_t>(text.data, text.size);
    return std::memchr(text.data, '&', text.size) == nullptr && std::memchr(text.data, '\n', text.size) == nullptr &&
           std::memchr(text.data, '<', text.size) == nullptr;
}

std::size_t split_13a(const Machine& machine, const char* text, std::size_t size, std::uint32_t base,
                      std::uint32_t* starts, std::uint32_t* ends) {
    std::uint32_t *const first_start = starts, *const first_end = ends;
    std::uint64_t inside_before = 0, alone_before = 0, digit_before = 0, point_before = 0;
    for (std::size_t at = 0; at < size; at += kBlock) {
        const std::size_t here = size - at < kBlock ? size - at : kBlock;
        const Marks marks = machine.mark(text + at, here);
        const std::uint64_t real = ~std::uint64_t{0} >> (kBlock - here);
        const bool digit_follows = at + kBlock < size && kind_of(text[at + kBlock]) == digit;
        const std::uint64_t after_digit = (marks.digit << 1) | digit_before;
        const std::uint64_t before_digit = (marks.digit >> 1) | (std::uint64_t{digit_follows} << 63);
        if ((marks.point & ((marks.point << 1) | point_before)) != 0) {
            return split_slowly(text, size, base, first_start, first_end);
        }
        const std::uint64_t alone =
            marks.sign | (marks.point & ~(after_digit & before_digit)) | (marks.dash & after_digit);
        const std::uint64_t inside = real & ~marks.space & ~alone;
        const std::uint64_t was_inside = (inside << 1) | inside_before, was_alone = (alone << 1) | alone_before;
        const auto list = [&](std::uint64_t bits, std::uint32_t* out) {
            for (; bits != 0; bits &= bits - 1) {
                *out++ = base + static_cast<std::uint32_t>(at + static_cast<std::size_t>(std::countr_zero(bits)));
            }
            return out;
        };
        starts = list((inside & ~was_inside) | alone, starts);
        ends = list((was_inside & ~inside) | was_alone, ends);
        inside_before = inside >> 63;
        alone_before = alone >> 63;
        digit_before = marks.digit >> 63;
        point_before = marks.point >> 63;
    }
    // What reaches to the end of the last whole block is still open; a part of a block has closed its own.
    if ((inside_before | alone_before) != 0) *ends++ = base + static_cast<std::uint32_t>(size);
    return static_cast<std::size_t>(ends - first_end);
}

}  // namespace m4i
