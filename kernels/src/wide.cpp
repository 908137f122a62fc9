#include "wide.hpp"

#include <type_traits>

namespace m4i {

template <typename Token>
typename WideComparer<Token>::Kept& WideComparer<Token>::of_this_thread() {
    thread_local Kept kept;
    return kept;
}

template <typename Token>
void WideComparer<Token>::number(const TokensOf<Token>* texts, std::size_t count, Kept& kept) {
    texts_.clear();
    if constexpr (std::is_same_v<Token, Small>) {
        for (std::size_t i = 0; i < count; ++i) texts_.push_back({texts[i].keys, texts[i].length});
        if (kept.local.empty()) kept.local.resize(std::size_t{1} << 16);
    } else {
        std::size_t tokens = 0;
        for (std::size_t i = 0; i < count; ++i) tokens += texts[i].length;
        if (numbers_.size() < tokens) numbers_.resize(tokens);
        const bool learn = kept.vocabulary.make_room(tokens);
        if (!learn) kept.vocabulary.make_room(texts->length);
        Small* at = numbers_.data();
        for (std::size_t i = 0; i < count; ++i) {
            if (learn || i == 0) {
                kept.vocabulary.learn(texts[i].keys, texts[i].length, at);
            } else {
                kept.vocabulary.find(texts[i].keys, texts[i].length, at);
            }
            texts_.push_back({at, texts[i].length});
            at += texts[i].length;
        }
        if (kept.local.size() < kept.vocabulary.numbers()) kept.local.resize(kept.vocabulary.numbers());
    }
}

template <typename Token>
void WideComparer<Token>::compare(const TokensOf<Token>* texts, std::size_t references, std::int32_t* subsequence,
                                  Counts* matches, Counts& best) {
    Kept& kept = of_this_thread();
    number(texts, references + 1, kept);
    kept.room->local = kept.local.data();
    machine_.compare_wide(texts_.data(), references, *kept.room, subsequence, matches, best);
}

template class WideComparer<Key>;
template class WideComparer<Id>;
template class WideComparer<Small>;

}  // namespace m4i
