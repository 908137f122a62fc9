// What the rewriter writes: tokens in lower case, and lines of them.
#include <algorithm>
#include <cstring>

#include "ptb.hpp"
#include "ptb_made.hpp"
#include "white_space.hpp"

namespace m4i::ptb {
namespace {

constexpr char16_t kSigma = 0x3A3, kFinalSigma = 0x3C2, kDottedI = 0x130;

bool is_high(char16_t unit) { return (unit & 0xFC00) == 0xD800; }
bool is_low(char16_t unit) { return (unit & 0xFC00) == 0xDC00; }

}  // namespace

// In lower case as Java's toLowerCase writes it.
void Rewriter::write_lower(std::u16string_view units) {
    make_room(3 * units.size() + kMostBytes);
    for (std::size_t i = 0; i < units.size(); ++i) {
        const char16_t unit = units[i];
        if (unit < 0x80) {
            out_[at_++] = kLower[unit];
        } else if (unit == kSigma) {
            write_character(Words(tables_, units).ends_at(i) ? kFinalSigma : tables_.lower[kSigma]);
        } else if (unit == kDottedI) {
            write_character('i');
            write_character(0x307);
        } else if (is_high(unit) && i + 1 < units.size() && is_low(units[i + 1])) {
            const std::uint32_t character = 0x10000 + ((unit & 0x3FFu) << 10) + (units[++i] & 0x3FFu);
            const auto& pairs = tables_.lower_pairs;
            const auto pair = std::lower_bound(pairs.begin(), pairs.end(), std::pair{character, std::uint32_t{0}});
            write_character(pair != pairs.end() && pair->first == character ? pair->second : character);
        } else {
            write_character(tables_.lower[unit]);
        }
    }
}

void Rewriter::write_character(std::uint32_t character) {
    const auto put = [&](std::uint32_t byte) { out_[at_++] = static_cast<char>(byte); };
    if (character < 0x80) return put(character);
    ascii_ = false;
    if (character < 0x800) {
        put(0xC0 | character >> 6);
    } else {
        if (character < 0x10000) {
            put(0xE0 | character >> 12);
        } else {
            put(0xF0 | character >> 18);
            put(0x80 | (character >> 12 & 0x3F));
        }
        put(0x80 | (character >> 6 & 0x3F));
    }
    put(0x80 | (character & 0x3F));
}

void Rewriter::end_token(std::size_t begin) {
    if (is_removed(out_.data() + begin, at_ - begin)) {
        at_ = before_;
        last_ = 0;
    } else {
        ++kept_;
        ++last_;
    }
}

// A token that may hold blanks or ends of lines, at which pycocoevalcap parts it.
void Rewriter::write_pieces(std::size_t begin, std::vector<Line>* lines) {
    const std::string_view token(out_.data() + begin, at_ - begin);
    if (token.find_first_of(" \n") == std::string_view::npos) return end_token(begin);
    pieces_ = token;
    at_ = before_;
    const bool ascii = ascii_;
    make_room(2 * pieces_.size() + kMostBytes);
    for (std::size_t from = 0; from <= pieces_.size();) {
        const std::size_t to = std::min(pieces_.find_first_of(" \n", from), pieces_.size());
        begin_token();
        const std::size_t piece = at_;
        std::memcpy(out_.data() + at_, pieces_.data() + from, to - from);
        at_ += to - from;
        end_token(piece);
        if (to < pieces_.size() && pieces_[to] == '\n' && lines != nullptr) {
            lines->push_back(end_line());
            ascii_ = ascii;
        }
        from = to + 1;
    }
}

// What str.rstrip() takes off is taken before tokens are removed, so only tokens that stand behind those can lose any.
Line Rewriter::end_line() {
    const char* const out = out_.data();
    const auto ends_visibly = [&] { return at_ > begin_ && is_visible_ascii(static_cast<unsigned char>(out[at_ - 1])); };
    while (last_ > 0 && !ends_visibly()) {
        std::size_t token = at_;
        while (token > begin_ && out[token - 1] != ' ') --token;
        std::size_t end = token;  // of what stays of the token
        for (std::size_t i = token; i < at_;) {
            const std::size_t width = white_space(out + i, out + at_);
            i += width > 0 ? width : 1;
            if (width == 0) end = i;
        }
        const bool shortened = end < at_;
        at_ = end;
        if (end > token && !(shortened && is_removed(out + token, end - token))) break;
        at_ = token > begin_ ? token - 1 : token;
        if (end > token) break;
        --last_;
    }
    const Line line{begin_, at_, ascii_};
    begin_ = at_;
    kept_ = last_ = 0;
    ascii_ = true;
    return line;
}

}  // namespace m4i::ptb
