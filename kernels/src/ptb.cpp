#include "ptb.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "ptb_made.hpp"

namespace m4i::ptb {
namespace {

constexpr std::size_t kPatience = 256;   // units of a match after which what failed is remembered
constexpr int kKnownBits = 11;           // remembered words: captions have few
constexpr std::size_t kEnough = std::size_t{1} << 16;  // bytes written before the caller has its turn

// Eight units as bytes, the first one lowest; 0 where one is not ASCII.
std::uint64_t eight_at(const unsigned char* at) {
    std::uint64_t bytes;
    std::memcpy(&bytes, at, sizeof bytes);
    return (bytes & 0x8080808080808080ull) == 0 ? bytes : 0;
}
std::uint64_t eight_at(const char16_t* at) {
    std::uint64_t units[2];
    std::memcpy(units, at, sizeof units);
    if (((units[0] | units[1]) & 0xFF80FF80FF80FF80ull) != 0) return 0;
    for (std::uint64_t& four : units) {
        four = (four | four >> 8) & 0x0000FFFF0000FFFFull;
        four = (four | four >> 16) & 0xFFFFFFFFull;
    }
    return units[0] | units[1] << 32;
}

// A word and the blank after it; 0 where eight units do not hold both.
std::uint64_t word_in(std::uint64_t bytes) {
    const std::uint64_t blanks = bytes ^ 0x2020202020202020ull;  // bytes that are 0 here
    const std::uint64_t found = (blanks - 0x0101010101010101ull) & ~blanks & 0x8080808080808080ull;
    if (found == 0) return 0;
    const int last = std::countr_zero(found);  // the topmost bit of the first blank
    return last < 8 ? 0 : bytes & (~std::uint64_t{0} >> (63 - last));
}

// Bytes of a word_at() without its blank.
std::size_t size_of(std::uint64_t word) { return static_cast<std::size_t>(std::bit_width(word) - 1) / 8; }

std::size_t slot_of(std::uint64_t word) { return (word * 0x9E3779B97F4A7C15ull) >> (64 - kKnownBits); }

bool is_letter(char16_t unit) { return unit < 0x80 && static_cast<unsigned>((unit | 0x20) - 'a') < 26; }

const Tables& tables_or_throw() {
    if (tables() == nullptr) throw std::logic_error("the PTB tokeniser's tables were not set");
    return *tables();
}

}  // namespace

// A text of which the units are read one by one.
template <typename Unit>
struct Rewriter::Reader {
    const Unit* data;
    std::size_t size;
    bool alone;
    const std::uint8_t* kinds;
};

Rewriter::Rewriter(const Machine& machine, bool plain)
    : tables_(tables_or_throw()),
      machine_(machine),
      plain_(plain && tables_.plain.known),
      known_(std::size_t{1} << kKnownBits) {}

void Rewriter::make_room(std::size_t bytes) {
    if (out_.size() < at_ + bytes) out_.resize(std::max(2 * out_.size(), at_ + bytes));
}

template <typename Unit>
Rewriter::Reader<Unit> Rewriter::reader_of(const Unit* data, std::size_t size, bool alone) {
    return {data, size, alone, (alone ? tables_.kinds_alone : tables_.kinds).data()};
}

Line Rewriter::alone(const Units& units) {
    open(units);
    if (document_.width == 1) {
        run(reader_of(static_cast<const unsigned char*>(document_.data), document_.size, true), nullptr, 0);
    } else {
        run(reader_of(static_cast<const char16_t*>(document_.data), document_.size, true), nullptr, 0);
    }
    return end_line();
}

void Rewriter::open(const Units& units) {
    document_ = units;
    read_ = 0;
    failed_.clear();
    if (units.width != 4) return;
    wide_.clear();
    const auto* const characters = static_cast<const char32_t*>(units.data);
    for (std::size_t i = 0; i < units.size; ++i) {
        const char32_t c = characters[i];
        if (c > 0xFFFF) wide_.push_back(static_cast<char16_t>(0xD800 + ((c - 0x10000) >> 10)));
        wide_.push_back(static_cast<char16_t>(c > 0xFFFF ? 0xDC00 + ((c - 0x10000) & 0x3FF) : c));
    }
    document_ = {wide_.data(), wide_.size(), 2};
}

bool Rewriter::read(std::vector<Line>& lines, std::size_t most) {
    if (lines.size() >= most) return false;
    const bool more =
        document_.width == 1
            ? run(reader_of(static_cast<const unsigned char*>(document_.data), document_.size, false), &lines, most)
            : run(reader_of(static_cast<const char16_t*>(document_.data), document_.size, false), &lines, most);
    if (!more) lines.push_back(end_line());  // also beyond `most`: no line may be left begun
    return more && lines.size() < most;
}

// Whether it stopped before the end.
template <typename Unit>
bool Rewriter::run(const Reader<Unit>& reader, std::vector<Line>* lines, std::size_t most) {
    const std::size_t start = at_;
    while (read_ < reader.size) {
        if (lines != nullptr && reader.data[read_] == '\n' && plain_ && tables_.plain.line_feed) {
            ++read_;
            lines->push_back(end_line());
            if (lines->size() >= most || at_ - start > kEnough) return true;
            continue;
        }
        // A blank begins no token; a run of unlike ones must be seen whole, for some of them may begin an address.
        if (reader.data[read_] == ' ' && read_ + 1 < reader.size && is_visible_ascii(reader.data[read_ + 1])) ++read_;
        if (plain_ && is_letter(reader.data[read_]) && read_plain(reader)) continue;
        std::uint64_t word = 0;
        if (read_ + sizeof word <= reader.size) {
            word = word_in(eight_at(reader.data + read_));
            if (word != 0 && read_known(word)) continue;
        }
        std::size_t end;
        const Rule& rule = tables_.rules[match(reader, read_, end)];
        if (rule.ahead != 0) {
            const std::size_t shorter = end_of_token(reader, rule, read_, end);
            if (shorter > read_ && shorter < end) end = shorter;  // always, with the tables as they are
        }
        if (word != 0 && end == read_ + size_of(word)) remember(word, rule);
        if (rule.made == Made::line) {
            if (lines != nullptr) {
                lines->push_back(end_line());
                if (lines->size() >= most || at_ - start > kEnough) {
                    read_ = end;
                    return true;
                }
            }
        } else if (rule.made != Made::nothing) {
            std::size_t stop = end;
            if (rule.again) {
                --end;
                if (rule.alone && stop - read_ == 2) stop = end;
            }
            write(reader, rule, read_, stop, lines);
        }
        read_ = end;
    }
    return false;
}

// Words of letters alone, as many as stand here.
template <typename Unit>
bool Rewriter::read_plain(const Reader<Unit>& reader) {
    make_room(2 * kBlock);
    begin_token();
    const auto read = [&](auto plain) {
        return plain(reader.data + read_, reader.size - read_, !reader.alone && tables_.plain.line_feed, tables_.plain,
                     out_.data() + at_);
    };
    Stretch found;
    if constexpr (sizeof(Unit) == 1) {
        found = read(machine_.plain);
    } else {
        found = read(machine_.plain_wide);
    }
    if (found.read == 0) {
        at_ = before_;
        return false;
    }
    at_ += found.written;
    kept_ += found.words;
    last_ = found.full_stop ? 0 : last_ + found.words;
    read_ += found.read;
    return true;
}

bool Rewriter::read_known(std::uint64_t word) {
    const Known& known = known_[slot_of(word)];
    if (known.word != word) return false;
    read_ += size_of(word);
    if (known.lower == 0) {
        last_ = 0;
        return true;
    }
    make_room(2 * sizeof word);
    begin_token();
    std::memcpy(out_.data() + at_, &known.lower, sizeof known.lower);
    at_ += size_of(word);
    ++kept_;
    ++last_;
    return true;
}

// The rule that wins at a place, and where its match ends.
template <typename Unit>
std::uint32_t Rewriter::match(const Reader<Unit>& reader, std::size_t at, std::size_t& end) {
    const State* const moves = tables_.moves.data();
    const std::uint8_t* const kinds = reader.kinds;
    const Unit* unit = reader.data + at;
    const Unit* const stop = unit + std::min(reader.size - at, kPatience);
    const Unit* last = unit;
    State state = tables_.start, next = state;
    std::uint32_t rule = 0;
    while (unit != stop) {
        next = moves[(state >> 8) + kinds[*unit]];
        if (next == kDead) break;
        state = next;
        ++unit;
        if (const std::uint32_t found = accepted(state); found != 0) {
            rule = found;
            last = unit;
        }
    }
    end = static_cast<std::size_t>(last - reader.data);
    const auto here = static_cast<std::size_t>(unit - reader.data);
    if (next != kDead && here != reader.size) rule = match_far(reader, state, here, rule, end);
    alive_ = next == kDead ? state : kDead;
    alive_at_ = here;
    return rule - 1;
}

// A word is remembered where nothing behind its blank was looked at, and where it stays but for its case.
void Rewriter::remember(std::uint64_t word, const Rule& rule) {
    const std::size_t size = size_of(word), seen = alive_at_ - read_;
    if (rule.made != Made::same && rule.made != Made::plain) return;
    if (rule.again || alive_ == kDead || seen > size + 1) return;
    const State* const moves = tables_.moves.data() + (alive_ >> 8);
    if (seen == size + 1 && std::any_of(moves, moves + tables_.kind_count, [](State state) { return state != kDead; })) return;
    char lower[sizeof word] = {};
    std::memcpy(lower, &word, size);
    for (char& c : lower) c = kLower[c & 0x7F];
    if (is_removed(lower, size)) std::memset(lower, 0, sizeof lower);
    Known& known = known_[slot_of(word)];
    known.word = word;
    std::memcpy(&known.lower, lower, sizeof lower);
}

// The same from a place on, remembering in which states no longer match was found: long texts without blanks look
// like addresses at every word, up to their end.
template <typename Unit>
std::uint32_t Rewriter::match_far(const Reader<Unit>& reader, State state, std::size_t at, std::uint32_t rule,
                                  std::size_t& end) {
    if (failed_.empty()) failed_.assign(reader.size + 1, {});
    trail_.clear();
    std::size_t first = at + 1;
    while (at < reader.size) {
        state = tables_.move(state, reader.kinds[reader.data[at]]);
        ++at;
        if (state == kDead) break;
        if (accepted(state) != 0) {
            rule = accepted(state);
            end = at;
            trail_.clear();
            first = at + 1;
        } else {
            if (std::find(failed_[at].begin(), failed_[at].end(), state) != failed_[at].end()) break;
            trail_.push_back(state);
        }
    }
    for (std::size_t i = 0; i < trail_.size(); ++i) {
        auto& failed = failed_[first + i];
        std::rotate(failed.begin(), failed.end() - 1, failed.end());
        failed[0] = trail_[i];
    }
    return rule;
}

template <typename Unit>
std::size_t Rewriter::end_of_token(const Reader<Unit>& reader, const Rule& rule, std::size_t at, std::size_t end) {
    if (rule.match >= 0) return at + static_cast<std::size_t>(rule.match);
    if (rule.ahead > 0) return end - static_cast<std::size_t>(rule.ahead);
    ends_.assign(end - at + 1, 0);
    State state = rule.forward;
    for (std::size_t i = at; state != kDead; ++i) {
        ends_[i - at] = accepted(state) != 0;
        if (i == end) break;
        state = tables_.move(state, reader.kinds[reader.data[i]]);
    }
    state = rule.backward;
    while (end > at && (ends_[end - at] == 0 || accepted(state) == 0)) {
        --end;
        state = tables_.move(state, reader.kinds[reader.data[end]]);
    }
    return end;
}

template <typename Unit>
void Rewriter::write(const Reader<Unit>& reader, const Rule& rule, std::size_t at, std::size_t end,
                     std::vector<Line>* lines) {
    make_room((end - at) * kMostBytes + kMostBytes);
    begin_token();
    const std::size_t begin = at_;
    if (rule.made == Made::fixed) {
        std::memcpy(out_.data() + at_, rule.text.data(), rule.text.size());
        at_ += rule.text.size();
        return end_token(begin);
    }
    // An apostrophe is its own quote; soft hyphens are not ASCII.
    const bool same = rule.made == Made::same || rule.made == Made::plain ||
                      (rule.made == Made::quote && reader.data[at] == '\'');
    if (same) {
        char* to = out_.data() + at_;
        unsigned all = 0;
        for (std::size_t i = at; i < end; ++i) {
            all |= reader.data[i];
            *to++ = kLower[reader.data[i] & 0x7F];
        }
        if (all < 0x80) {
            at_ += end - at;
            return end_token(begin);
        }
    }
    token_.assign(reader.data + at, reader.data + end);
    make(rule.made, reader.alone, token_);
    write_lower(token_);
    if (rule.made == Made::face || rule.made == Made::solid) return write_pieces(begin, lines);
    end_token(begin);
}

}  // namespace m4i::ptb
