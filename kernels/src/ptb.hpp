// The PTB tokeniser: texts to lines of tokens joined by blanks. What it means is written in kernels/ptb/truth.py.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "machine.hpp"
#include "ptb_tables.hpp"
#include "unicode.hpp"

namespace m4i::ptb {

// Bytes of Rewriter::text(), UTF-8 with lone surrogates passed through.
struct Line {
    std::size_t begin, end;
    bool ascii;
};

using unicode::Units;

// One for each thread.
class Rewriter {
public:
    // Throws std::logic_error where the tables were not set. Without `plain` each word goes through the automaton or is
    // remembered, also those of letters alone: the same lines, for the fuzzer to hold one way to the other.
    explicit Rewriter(const Machine& machine, bool plain = true);

    const char* text() const { return out_.data(); }

    // Forgets all lines.
    void clear() { at_ = begin_ = 0; }

    // One text by itself; ends of lines in it are nothing.
    Line alone(const Units& units);

    // A document, from its first unit on: each call appends some more lines, until there are `most` in all (a tag may
    // bring more) or the document ends, whose last line ends with it. Gives whether to call again for what is missing.
    void open(const Units& units);
    bool read(std::vector<Line>& lines, std::size_t most);

private:
    template <typename Unit>
    struct Reader;
    template <typename Unit>
    bool run(const Reader<Unit>& reader, std::vector<Line>* lines, std::size_t most);
    template <typename Unit>
    Reader<Unit> reader_of(const Unit* data, std::size_t size, bool alone);

    template <typename Unit>
    bool read_plain(const Reader<Unit>& reader);
    bool read_known(std::uint64_t word);
    template <typename Unit>
    std::uint32_t match(const Reader<Unit>& reader, std::size_t at, std::size_t& end);
    template <typename Unit>
    std::uint32_t match_far(const Reader<Unit>& reader, State state, std::size_t at, std::uint32_t rule, std::size_t& end);
    template <typename Unit>
    std::size_t end_of_token(const Reader<Unit>& reader, const Rule& rule, std::size_t at, std::size_t end);
    template <typename Unit>
    void write(const Reader<Unit>& reader, const Rule& rule, std::size_t at, std::size_t end, std::vector<Line>* lines);

    void remember(std::uint64_t word, const Rule& rule);
    void make_room(std::size_t bytes);
    void begin_token() {
        before_ = at_;
        if (kept_ > 0) out_[at_++] = ' ';
    }
    void end_token(std::size_t begin);
    void write_pieces(std::size_t begin, std::vector<Line>* lines);
    Line end_line();
    void write_lower(std::u16string_view units);
    void write_character(std::uint32_t character);

    struct Known {
        std::uint64_t word = 0;
        std::uint64_t lower = 0;  // 0: it is left out
    };

    const Tables& tables_;
    const Machine& machine_;
    const bool plain_;           // whether words of letters alone are told by the block
    std::vector<Known> known_;   // short words of ASCII that are their own token, or are left out
    State alive_ = kDead;        // where the last match ended without a move, or kDead: elsewhere
    std::size_t alive_at_ = 0;
    std::vector<char> out_;
    std::size_t at_ = 0;     // in out_
    std::size_t begin_ = 0;  // of the line
    std::size_t before_ = 0; // where the token's blank stands
    std::size_t kept_ = 0;   // tokens on the line
    std::size_t last_ = 0;   // of them, those after the last one that was removed
    bool ascii_ = true;
    Units document_{};
    std::size_t read_ = 0;   // units of the document
    std::vector<char16_t> wide_;
    std::u16string token_;
    std::string pieces_;
    std::vector<char> ends_;
    std::vector<std::array<State, 4>> failed_;  // at each place the last states from which nothing was accepted
    std::vector<State> trail_;
};

}  // namespace m4i::ptb
