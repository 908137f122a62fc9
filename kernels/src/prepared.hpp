// References of many records, tokenised once for any number of hypotheses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "keys.hpp"
#include "machine.hpp"
#include "small_numbers.hpp"
#include "tokens.hpp"

namespace m4i {

class Prepared {
public:
    Prepared(Tokeniser tokeniser, const Machine& machine) : tokeniser_(tokeniser), stream_(tokeniser, machine) {}

    // Takes the references of some more records, one record after the other; `sizes`: how many each has.
    void add(const Text* texts, const std::uint32_t* sizes, std::size_t records);

    Tokeniser tokeniser() const { return tokeniser_; }
    // After the last add().
    void finish();

    std::size_t records() const { return first_.size() - 1; }
    std::size_t first(std::size_t record) const { return static_cast<std::size_t>(first_[record]); }
    std::uint32_t size(std::size_t record) const {
        return static_cast<std::uint32_t>(first_[record + 1] - first_[record]);
    }

    // Whether the tokens are small numbers. Then tokens() has none, but their length.
    bool small() const { return small_; }
    const SmallNumbers& small_numbers() const { return small_numbers_; }
    SmallTexts small_texts(std::size_t first_reference) const {
        const std::int64_t base = texts_.offsets[first_reference];
        return {small_texts_.data() + base, texts_.offsets.data(), base};
    }
    const std::int64_t* rows(std::size_t record) const { return first_.data() + record; }

    Tokens tokens(std::size_t reference) const { return texts_.tokens(reference, single_[reference] != 0); }

    // What str.split(" ") gives; where splits_twice().
    Tokens apart(std::size_t reference) const { return apart_.tokens(reference, true); }

    // By which hypotheses must be numbered. Asked by many threads, after the last add().
    const Interner& numbers() const { return numbers_; }

private:
    struct Texts {
        void take(const TokenStream& stream, std::size_t count);
        Tokens tokens(std::size_t text, bool single) const {
            const auto length = static_cast<std::uint32_t>(offsets[text + 1] - offsets[text]);
            return {keys.empty() ? nullptr : keys.data() + offsets[text], length, single};
        }

        std::vector<Key> keys;
        std::vector<std::int64_t> offsets{0};
    };

    Tokeniser tokeniser_;
    TokenStream stream_;
    Interner numbers_;
    Texts texts_, apart_;
    bool small_ = true;
    SmallNumbers small_numbers_;
    std::vector<Small> small_texts_;  // of texts_, kShort more
    std::vector<char> single_;
    std::vector<std::int64_t> first_{0};
};

}  // namespace m4i
