// Tokenisers: bytes in, tokens out. What each one means is written in kernels/tokens.py; this is its fast twin for ASCII.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace m4i {

// The numbers are part of the Python face: kernels/tokens.py names them.
enum class Tokeniser : int { words = 0, rouge_score = 1, whitespace = 2, coco_space = 3 };

// pycocoevalcap splits for ROUGE-L at single spaces, for BLEU at any run of white space.
enum class Stream { longest_subsequence, ngrams };

// At least this many readable bytes must follow every text, so that a token's head loads in one step.
inline constexpr std::size_t kPadding = 8;

// One text in a writable buffer (tokenisers lower the case in place).
// `ready`: not ASCII, so Python has seen it. For words and rouge_score it holds the tokens, joined by spaces;
// for the other two it is the text itself in UTF-8, lone surrogates passed through.
struct Text {
    char* begin;
    char* end;
    bool ready;
};

// `head`: the first eight bytes, zero-padded, so most tokens compare as one integer.
struct Token {
    const char* begin;
    std::size_t length;
    std::uint64_t head;
    std::uint64_t hash;
};

// Append nothing, replace: `tokens` holds the tokens of `text` afterwards.
void tokenise(Text text, Tokeniser tokeniser, Stream stream, std::vector<Token>& tokens);

// Whether white-space tokens are also what a split at single spaces gives: one space between any two, none outside.
bool single_spaced(Text text, const std::vector<Token>& tokens);

// The distinct tokens of one hypothesis, numbered from 0 in order of appearance.
class Dictionary {
public:
    // Number the tokens; `ids` holds one number a token afterwards. Forgets the hypothesis before.
    void fill(const std::vector<Token>& tokens, std::vector<std::int32_t>& ids);

    // Numbers of a reference's tokens, -1 for those the hypothesis does not have (they can match nothing).
    void look_up(const std::vector<Token>& tokens, std::vector<std::int32_t>& ids) const;

    std::size_t size() const { return known_.size(); }

private:
    std::size_t slot_of(const Token& token) const;

    std::vector<std::int32_t> slots_;
    std::vector<Token> known_;
    int shift_ = 0;
};

}  // namespace m4i
