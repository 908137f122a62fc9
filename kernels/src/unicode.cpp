#include "unicode.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace m4i::unicode {
namespace {

constexpr char32_t kPageSize = 256, kBeyond = 0x110000;
constexpr char32_t kDottedI = 0x130, kApostrophe = 0x2019;

struct Entry {
    char bytes[7];
    std::uint8_t size;
};
using Page = std::array<Entry, kPageSize>;

Characters asked{};
// Made when a text asks for them: most texts have one script.
std::atomic<const Page*> pages[kForms][kBeyond / kPageSize];

void put_utf8(char32_t c, Entry& entry) {
    const auto put = [&](char32_t byte) { entry.bytes[entry.size++] = static_cast<char>(byte); };
    if (c < 0x80) return put(c);
    if (c < 0x800) {
        put(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            put(0xE0 | c >> 12);
        } else {
            put(0xF0 | c >> 18);
            put(0x80 | (c >> 12 & 0x3F));
        }
        put(0x80 | (c >> 6 & 0x3F));
    }
    put(0x80 | (c & 0x3F));
}

Entry entry_of(Form form, char32_t c) {
    Entry entry{};
    if (c < 0x80 || form == Form::plain) {
        put_utf8(c, entry);
        return entry;
    }
    if (form == Form::parted) {
        put_utf8(asked.space(c) ? U'\t' : c, entry);
        return entry;
    }
    const char32_t lower = asked.lower(c);
    if (c == kDottedI) {  // lower() gives an i and a dot, which is no letter
        put_utf8(U'i', entry);
        put_utf8(U' ', entry);
    } else if (form == Form::ascii) {
        put_utf8(lower < 0x80 ? lower : U' ', entry);
    } else if (c == kApostrophe) {
        put_utf8(U'\'', entry);
    } else {
        put_utf8(asked.letter_or_digit(lower) ? lower : U' ', entry);
    }
    return entry;
}

[[gnu::noinline]] const Page& made_page(Form form, char32_t number) {
    if (asked.lower == nullptr) throw std::logic_error("nobody has said what characters are");
    auto made = std::make_unique<Page>();
    for (char32_t i = 0; i < kPageSize; ++i) (*made)[i] = entry_of(form, number * kPageSize + i);
    const Page* there = nullptr;  // of another thread, which came first
    if (!pages[static_cast<int>(form)][number].compare_exchange_strong(there, made.get(), std::memory_order_acq_rel)) {
        return *there;
    }
    return *made.release();  // for as long as the process lives
}

template <typename Unit>
char* write_units(Form form, const Unit* at, std::size_t size, char* out) {
    const std::atomic<const Page*>* const known = pages[static_cast<int>(form)];
    const auto put = [&](char32_t c) {
        const Page* page = known[c / kPageSize].load(std::memory_order_acquire);
        if (page == nullptr) [[unlikely]] page = &made_page(form, c / kPageSize);
        const Entry& entry = (*page)[c % kPageSize];
        std::memcpy(out, &entry, sizeof entry);  // what is beyond its bytes is written over
        out += entry.size;
    };
    const Unit* const end = at + size;
    for (; end - at >= 8; at += 8) {
        Unit any = 0;
        for (int i = 0; i < 8; ++i) any |= at[i];
        if (any < 0x80) {
            for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(at[i]);
            out += 8;
        } else {
            for (int i = 0; i < 8; ++i) put(at[i]);
        }
    }
    for (; at < end; ++at) put(*at);
    return out;
}

// Characters that are in NFC wherever they stand, and each of which lower() takes by itself (the capital sigma it does
// not: its lower case depends on what is around it). Not all such characters: those of scripts that are written without
// combining marks, or with marks that have become one with their letters.
struct Range {
    char32_t first, last;
};
constexpr Range kSettled[] = {
    {0x0000, 0x02FF}, {0x0370, 0x0373}, {0x0375, 0x037D}, {0x037F, 0x0386}, {0x0388, 0x03A2}, {0x03A4, 0x0482},
    {0x048A, 0x052F}, {0x0531, 0x0556}, {0x0561, 0x0587}, {0x05D0, 0x05EA}, {0x0621, 0x064A}, {0x0660, 0x066F},
    {0x0671, 0x06D5}, {0x10D0, 0x10FF}, {0x1E00, 0x1EFF}, {0x2010, 0x2027}, {0x2030, 0x205E}, {0x20A0, 0x20BF},
    {0x2190, 0x21FF}, {0x2600, 0x27BF}, {0x3001, 0x3029}, {0x3041, 0x3096}, {0x309B, 0x30FF}, {0x3105, 0x312F},
    {0x3400, 0x4DBF}, {0x4E00, 0x9FFF}, {0xAC00, 0xD7A3}, {0xFE00, 0xFE0F}, {0xFF01, 0xFFEE},
};
constexpr Range kSettledPictures = {0x1F300, 0x1FAFF};

constexpr std::array<std::uint64_t, 0x10000 / 64> kIsSettled = [] {
    std::array<std::uint64_t, 0x10000 / 64> bits{};
    for (const Range& range : kSettled) {
        for (char32_t c = range.first; c <= range.last; ++c) bits[c / 64] |= std::uint64_t{1} << (c % 64);
    }
    return bits;
}();

// The ranges that most texts keep to, by comparisons that compilers make of many units at once.
template <typename Unit>
bool plainly_settled(const Unit* units, std::size_t size) {
    Unit other = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const auto within = [c = units[i]](unsigned first, unsigned last) {
            return static_cast<Unit>(c - first) <= static_cast<Unit>(last - first);
        };
        other |= !(within(0, 0x2FF) | within(0x400, 0x482) | within(0x2010, 0x2027) | within(0x4E00, 0x9FFF));
    }
    return other == 0;
}

template <typename Unit>
bool all_settled(const Unit* units, std::size_t size) {
    if (plainly_settled(units, size)) return true;
    std::uint64_t all = 1;
    for (std::size_t i = 0; i < size; ++i) {
        const char32_t c = units[i];
        if constexpr (sizeof(Unit) == 4) {
            if (c > 0xFFFF) {
                all &= c >= kSettledPictures.first && c <= kSettledPictures.last;
                continue;
            }
        }
        all &= kIsSettled[c / 64] >> (c % 64);
    }
    return all != 0;
}

}  // namespace

void set_characters(const Characters& characters) { asked = characters; }

char* write(Form form, const Units& units, char* out) {
    switch (units.width) {
        case 1:
            return write_units(form, static_cast<const unsigned char*>(units.data), units.size, out);
        case 2:
            return write_units(form, static_cast<const char16_t*>(units.data), units.size, out);
        default:
            return write_units(form, static_cast<const char32_t*>(units.data), units.size, out);
    }
}

bool settled(const Units& units) {
    switch (units.width) {
        case 1:
            return true;
        case 2:
            return all_settled(static_cast<const char16_t*>(units.data), units.size);
        default:
            return all_settled(static_cast<const char32_t*>(units.data), units.size);
    }
}

}  // namespace m4i::unicode
