// Records whose hypothesis has some hundred tokens, reports say: tokens numbered, then compared by the machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "machine.hpp"
#include "tokens.hpp"
#include "vocabulary.hpp"

namespace m4i {

// `Token`: Key, Id or Small.
template <typename Token>
class WideComparer {
public:
    explicit WideComparer(const Machine& machine) : machine_(machine) {}

    // `texts`: a hypothesis of at most kWide tokens, then its references.
    void compare(const TokensOf<Token>* texts, std::size_t references, std::int32_t* subsequence, Counts* matches, Counts& best);

private:
    // Half a megabyte at most, that lasts as long as the thread does: a call on some hundred reports would spend a
    // thirtieth of its time on getting it anew.
    struct Kept {
        Vocabulary vocabulary;
        std::vector<Small> local;
        std::unique_ptr<WideRoom> room{new WideRoom};  // not cleared: most of it is never touched
    };
    static Kept& of_this_thread();

    void number(const TokensOf<Token>* texts, std::size_t count, Kept& kept);

    const Machine& machine_;
    std::vector<Small> numbers_;
    std::vector<NumberedText> texts_;
};

}  // namespace m4i
