// Counts of the package rouge 1.0.1, which takes n-grams as sets and parts texts at full stops: for the recipe m4i.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "keys.hpp"
#include "tokens.hpp"

namespace m4i {

// As SetStatistics in kernels/statistics.py.
struct SetColumns {
    std::int32_t* hypothesis_distinct;  // [2] a record: distinct words, distinct bigrams
    std::int32_t* reference_distinct;   // [2] a pair
    std::int32_t* shared;               // [2] a pair
    std::int32_t* united;               // a pair: distinct words in any of the subsequences
};

// One for each thread.
class SetComparer {
public:
    // `texts`: a hypothesis and its `references`.
    void compare(const Text* texts, std::size_t references, SetColumns columns);

private:
    struct Span {
        std::size_t begin, end;
    };
    struct Standing {
        std::uint32_t times = 0, row = 0, last = 0;
    };
    struct Parted {
        Span words;      // in ids_
        Span sentences;  // in sentences_
    };

    Text as_bytes(const Text& text);
    void part(const Text& text);
    void drop_repeated(Span& sentences);
    std::int32_t distinct(Span words);
    void bigrams_of(Span words, std::vector<std::uint64_t>& bigrams) const;
    std::int32_t united(const Parted& hypothesis, const Parted& reference);
    void trace(Span hypothesis, Span reference);

    std::vector<char> utf8_;
    Interner interner_;
    Dictionary<Key> dictionary_;
    std::vector<Key> keys_;
    std::vector<std::int32_t> ids_;
    std::vector<Span> sentences_;
    std::vector<Parted> parted_;
    std::vector<std::uint64_t> bigrams_, other_bigrams_;
    // See trace().
    std::vector<std::uint64_t> places_, hits_, open_, kept_;
    std::vector<Standing> standing_;  // by id
    std::vector<std::uint32_t> place_before_;
    std::vector<std::uint32_t> seen_;  // by id: the last question that it answered
    std::uint32_t question_ = 0;
    std::vector<bool> in_union_;
};

}  // namespace m4i
