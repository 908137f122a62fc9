// Tokens of any number of texts as numbers, from 0 in order of appearance.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "keys.hpp"
#include "tokens.hpp"

namespace m4i {

class Numbering {
public:
    Numbering(Tokeniser tokeniser, const Machine& machine);

    // Appends the numbers of each text's tokens to `ids`, and where they end to `offsets`.
    void add(const Text* texts, std::size_t count, std::vector<Id>& ids, std::vector<std::int64_t>& offsets);

    std::size_t size() const { return known_; }
    Tokeniser tokeniser() const { return tokeniser_; }

private:
    struct Slot {
        Key key;  // kNone: free
        Id id;
    };

    Id id_of(Key key);
    void grow();

    Tokeniser tokeniser_;
    TokenStream stream_;
    Interner interner_;
    std::vector<Slot> slots_;
    std::size_t known_ = 0;
};

}  // namespace m4i
