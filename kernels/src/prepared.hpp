// References of many records, tokenised once for any number of hypotheses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "keys.hpp"
#include "machine.hpp"
#include "tokens.hpp"

namespace m4i {

class Prepared {
public:
    Prepared(Tokeniser tokeniser, const Machine& machine) : tokeniser_(tokeniser), stream_(tokeniser, machine) {}

    // Takes the references of some more records, one record after the other; `sizes`: how many each has.
    void add(const Text* texts, const std::uint32_t* sizes, std::size_t records);

    Tokeniser tokeniser() const { return tokeniser_; }
    std::size_t records() const { return first_.size() - 1; }
    std::size_t first(std::size_t record) const { return first_[record]; }
    std::uint32_t size(std::size_t record) const {
        return static_cast<std::uint32_t>(first_[record + 1] - first_[record]);
    }

    Tokens tokens(std::size_t reference) const { return texts_.tokens(reference, single_[reference] != 0); }

    // What str.split(" ") gives; where splits_twice().
    Tokens apart(std::size_t reference) const { return apart_.tokens(reference, true); }

    // By which hypotheses must be numbered. Asked by many threads, after the last add().
    const Interner& numbers() const { return numbers_; }

private:
    struct Texts {
        void take(const TokenStream& stream, std::size_t count);
        Tokens tokens(std::size_t text, bool single) const {
            return {keys.data() + offsets[text], static_cast<std::uint32_t>(offsets[text + 1] - offsets[text]), single};
        }

        std::vector<Key> keys;
        std::vector<std::size_t> offsets{0};
    };

    Tokeniser tokeniser_;
    TokenStream stream_;
    Interner numbers_;
    Texts texts_, apart_;
    std::vector<char> single_;
    std::vector<std::size_t> first_{0};
};

}  // namespace m4i
