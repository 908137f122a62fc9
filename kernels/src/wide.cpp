#include "wide.hpp"

#include <type_traits>

namespace m4i {

template <typename Token>
void WideComparer<Token>::number(const TokensOf<Token>* texts, std::size_t count) {
    texts_.clear();
    if constexpr (std::is_same_v<Token, Small>) {
        for (std::size_t i = 0; i < count; ++i) texts_.push_back({texts[i].keys, texts[i].length});
        if (local_.empty()) local_.resize(std::size_t{1} << 16);
    } else {
        std::size_t tokens = 0;
        for (std::size_t i = 0; i < count; ++i) tokens += texts[i].length;
        if (numbers_.size() < tokens) numbers_.resize(tokens);
        const bool learn = vocabulary_.make_room(tokens);
        if (!learn) vocabulary_.make_room(texts->length);
        Small* at = numbers_.data();
        for (std::size_t i = 0; i < count; ++i) {
            if (learn || i == 0) {
                vocabulary_.learn(texts[i].keys, texts[i].length, at);
            } else {
                vocabulary_.find(texts[i].keys, texts[i].length, at);
            }
            texts_.push_back({at, texts[i].length});
            at += texts[i].length;
        }
        if (local_.size() < vocabulary_.numbers()) local_.resize(vocabulary_.numbers());
    }
}

template <typename Token>
void WideComparer<Token>::compare(const TokensOf<Token>* texts, std::size_t references, std::int32_t* subsequence,
                                  Counts* matches, Counts& best) {
    number(texts, references + 1);
    if (room_ == nullptr) room_.reset(new WideRoom);  // not cleared: most of it is never touched
    room_->local = local_.data();
    machine_.compare_wide(texts_.data(), references, *room_, subsequence, matches, best);
}

template class WideComparer<Key>;
template class WideComparer<Id>;
template class WideComparer<Small>;

}  // namespace m4i
