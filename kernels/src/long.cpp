#include "long.hpp"

namespace m4i {

template <typename Token>
void LongComparer<Token>::compare(const TokensOf<Token>* texts, std::size_t references, Columns columns) {
    if (texts->length <= kWide) {
        wide_.compare(texts, references, columns.lcs, columns.matches, *columns.best_matches);
        return;
    }
    dictionary_.fill(texts->keys, texts->length, hypothesis_);
    matcher_.prepare(hypothesis_, dictionary_.size());
    subsequence_.prepare(hypothesis_, dictionary_.size());
    for (std::size_t i = 0; i < references; ++i) {
        dictionary_.look_up(texts[1 + i].keys, texts[1 + i].length, reference_);
        columns.lcs[i] = subsequence_.length(reference_);
        columns.matches[i] = matcher_.match(reference_);
    }
    *columns.best_matches = matcher_.best();
}

template <typename Token>
void LongComparer<Token>::subsequences(const TokensOf<Token>* texts, std::size_t references, std::int32_t* lengths) {
    dictionary_.fill(texts->keys, texts->length, hypothesis_);
    subsequence_.prepare(hypothesis_, dictionary_.size());
    for (std::size_t i = 0; i < references; ++i) {
        dictionary_.look_up(texts[1 + i].keys, texts[1 + i].length, reference_);
        lengths[i] = subsequence_.length(reference_);
    }
}

template class LongComparer<Key>;
template class LongComparer<Id>;
template class LongComparer<Small>;

}  // namespace m4i
