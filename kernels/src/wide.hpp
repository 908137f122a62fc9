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
    void number(const TokensOf<Token>* texts, std::size_t count);

    const Machine& machine_;
    Vocabulary vocabulary_;
    std::vector<Small> numbers_;
    std::vector<NumberedText> texts_;
    std::vector<Small> local_;
    std::unique_ptr<WideRoom> room_;
};

}  // namespace m4i
