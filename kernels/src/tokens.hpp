// Texts to keys. What each tokeniser means is written in kernels/tokens.py; this is its fast twin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "keys.hpp"
#include "machine.hpp"
#include "ptb.hpp"
#include "unicode.hpp"

namespace m4i {

// The numbers are part of the Python face: kernels/tokens.py names them.
enum class Tokeniser : int { words = 0, rouge_score = 1, whitespace = 2, coco_space = 3, mteval_13a = 4, porter = 5, ptb = 6 };
inline constexpr int kTokenisers = 7;

// Whether ROUGE-L's tokens are those of str.split(" "), others those of str.split().
inline bool splits_twice(Tokeniser tokeniser) {
    return tokeniser == Tokeniser::coco_space || tokeniser == Tokeniser::ptb;
}

// Whether Python must tokenise a text: 13a replaces parts of some before it looks for tokens.
bool needs_python(Tokeniser tokeniser, const unicode::Units& text);

// Who numbers the tokens that are not their own key: an interner that learns them, or one that is only asked (what it does
// not know gets kUnknown), or, where neither is given, the stream's own.
struct Numbers {
    Interner* learn = nullptr;
    const Interner* find = nullptr;
};

// Tokens of one text. `single`: whether str.split(" ") would give the same ones.
template <typename Token>
struct TokensOf {
    const Token* keys;
    std::uint32_t length;
    bool single;
};
using Tokens = TokensOf<Key>;

// Tokens of many texts, one after the other.
class TokenStream {
public:
    TokenStream(Tokeniser tokeniser, const Machine& machine) : tokeniser_(tokeniser), machine_(machine) {}

    // Forget the texts before. Without `numbers`, keys of different fills must not be compared.
    void fill(const Text* texts, std::size_t count, Numbers numbers = {});

    // The same for str.split(" "), whatever the tokeniser: empty tokens are tokens.
    void fill_split_at_spaces(const Text* texts, std::size_t count, Numbers numbers = {});

    Tokens tokens(std::size_t text) const {
        return {keys_.data() + offsets_[text], static_cast<std::uint32_t>(offsets_[text + 1] - offsets_[text]),
                single_spaced_[text] != 0};
    }

private:
    struct Stemmed {
        Key token;
        Key stem;
    };

    void begin(Numbers numbers);
    const Text* as_bytes(const Text* texts, std::size_t count, unicode::Form form);
    const Text* lines_of(const Text* texts, std::size_t count);
    Key number(const char* begin, std::size_t length);
    void make_room(std::size_t bytes, std::size_t tokens);
    std::size_t split_utf8(const Text& text, std::uint32_t* starts, std::uint32_t* ends, bool* single) const;
    std::size_t split(const Text& text, char* bytes, std::size_t known, char* single);
    void stem_all(std::size_t count);
    Stemmed& stemmed(Key key);
    Key stem_of(char* word, std::size_t length);

    Tokeniser tokeniser_;
    const Machine& machine_;
    Interner interner_;
    Numbers numbers_;                       // of the fill in progress
    const Interner* stemmed_by_ = nullptr;  // whose keys are remembered in stemmed_
    std::vector<Stemmed> stemmed_;  // by the token's key
    std::unique_ptr<ptb::Rewriter> rewriter_;  // of ptb
    std::vector<ptb::Line> lines_;
    std::vector<Text> written_;  // of as_bytes()
    std::vector<char> utf8_;
    std::vector<char> bytes_;
    std::vector<Other> others_;
    std::vector<std::uint32_t> starts_, ends_, indices_;  // of split()
    std::vector<Key> keys_;
    std::vector<std::size_t> offsets_;
    std::vector<char> single_spaced_;
};

// Tokens as small numbers: the distinct ones of one hypothesis, from 0 in order of appearance.
template <typename Token>
class Dictionary {
public:
    // Number the tokens; `ids` holds one number a token afterwards. Forgets the hypothesis before.
    void fill(const Token* tokens, std::size_t count, std::vector<std::int32_t>& ids);

    // Numbers of a reference's tokens, -1 for those the hypothesis does not have (they can match nothing).
    void look_up(const Token* tokens, std::size_t count, std::vector<std::int32_t>& ids) const;

    std::size_t size() const { return size_; }

private:
    struct Slot {
        Token token;
        std::int32_t number;  // -1: free
    };

    std::size_t slot_of(Token token) const;

    std::vector<Slot> slots_;
    std::size_t size_ = 0;
    int shift_ = 0;
};

}  // namespace m4i
