#include "ptb_made.hpp"

#include <cstring>

namespace m4i::ptb {
namespace {

constexpr char16_t kSoftHyphen = 0xAD;

// Bits of Tables::in_words.
constexpr std::uint8_t kCased = 1, kLetter = 2, kDigit = 4, kInWord = 8, kInNumber = 16, kIgnored = 32;

void replace_all(std::u16string& text, std::u16string_view from, std::u16string_view to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::u16string::npos; at += to.size()) {
        text.replace(at, from.size(), to);
    }
}

void replace_any(std::u16string& text, std::u16string_view from, std::u16string_view to) {
    for (std::size_t at = 0; (at = text.find_first_of(from, at)) != std::u16string::npos; at += to.size()) {
        text.replace(at, 1, to);
    }
}

void make_quotes(std::u16string& token, std::u16string_view twofold, std::u16string_view single) {
    replace_all(token, u"&apos;", u"'");
    replace_all(token, u"'", single);
    replace_all(token, u"&quot;", twofold);
    replace_all(token, u"\"", twofold);
    replace_any(token, u"\u0091\u2018\u201B\u2039", u"`");
    replace_any(token, u"\u0092\u2019\u203A", u"'");
    replace_any(token, u"\u0093\u201C\u00AB", u"``");
    replace_any(token, u"\u0094\u201D\u00BB", u"''");
}

void make_ampersands(std::u16string& token) {
    for (std::size_t at = 0; (at = token.find(u'&', at)) != std::u16string::npos; ++at) {
        if (token.size() - at < 5 || token[at + 4] != u';') continue;
        const auto is = [&](std::size_t i, char16_t letter) { return (token[at + i] | 0x20) == letter; };
        if (is(1, u'a') && is(2, u'm') && is(3, u'p')) token.erase(at + 1, 4);
    }
}

void make_fractions(std::u16string& token) {
    replace_all(token, u"\u00BC", u"1/4");
    replace_all(token, u"\u00BD", u"1/2");
    replace_all(token, u"\u00BE", u"3/4");
    replace_all(token, u"\u2153", u"1/3");
    replace_all(token, u"\u2154", u"2/3");
}

}  // namespace

void make(Made made, bool alone, std::u16string& token) {
    if (alone) replace_all(token, u"\n", u" ");
    switch (made) {
        case Made::plain:
            std::erase(token, kSoftHyphen);
            if (token.empty()) token = u"-";
            break;
        case Made::quote:
            make_quotes(token, u"''", u"'");
            break;
        case Made::opening:
            make_quotes(token, u"``", u"`");
            break;
        case Made::ampersand:
            make_ampersands(token);
            break;
        case Made::hyphens:
            if (token.size() == 3 || token.size() == 4) token = u"--";
            break;
        case Made::fraction:
            make_fractions(token);
            break;
        case Made::money:
            replace_all(token, u"\u00A2", u"cents");
            replace_all(token, u"\u00A3", u"#");
            replace_any(token, u"\u0080\u00A4\u20A0\u20AC", u"$");
            break;
        case Made::solid:
        case Made::phone:
            replace_all(token, u" ", u"\u00A0");
            [[fallthrough]];
        case Made::face:
            if (made == Made::solid) break;
            replace_all(token, u"(", u"-lrb-");
            replace_all(token, u")", u"-rrb-");
            break;
        default:
            break;
    }
}

// Its brackets never come, for they are in lower case here.
bool is_removed(const char* token, std::size_t size) {
    switch (size) {
        case 1:
            return std::memchr("'`.?!,:-;", token[0], 9) != nullptr;
        case 2:
            return token[0] == token[1] && (token[0] == '\'' || token[0] == '`' || token[0] == '-');
        case 3:
            return std::memcmp(token, "...", 3) == 0;
        default:
            return false;
    }
}

bool Words::ends_at(std::size_t sigma) const {
    std::size_t at = sigma;
    while (joined(at) && !is(at - 1, kCased)) --at;
    if (!joined(at)) return false;
    for (at = sigma + 1; at < units_.size() && joined(at); ++at) {
        if (is(at, kCased)) return false;
    }
    return true;
}

// The nearest unit before or after that counts; npos where there is none.
std::size_t Words::before(std::size_t at) const {
    while (at > 0) {
        if (!is(--at, kIgnored)) return at;
    }
    return std::u16string_view::npos;
}

std::size_t Words::after(std::size_t at) const {
    while (++at < units_.size()) {
        if (!is(at, kIgnored)) return at;
    }
    return std::u16string_view::npos;
}

// A sign between two letters or two digits.
bool Words::inside(std::size_t at) const {
    const std::size_t left = before(at), right = after(at);
    if (left == std::u16string_view::npos || right == std::u16string_view::npos) return false;
    return (is(at, kInWord) && is(left, kLetter) && is(right, kLetter)) ||
           (is(at, kInNumber) && is(left, kDigit) && is(right, kDigit));
}

// Whether a unit belongs to the word before it.
bool Words::joined(std::size_t at) const {
    if (at == 0) return false;
    if (is(at, kIgnored)) return true;
    const std::size_t left = before(at);
    if (left == std::u16string_view::npos) return false;
    const bool here = is(at, kLetter | kDigit), there = is(left, kLetter | kDigit);
    return (here && there) || (there && inside(at)) || (here && inside(left));
}

}  // namespace m4i::ptb
