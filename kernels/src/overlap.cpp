#include "overlap.hpp"

#include <cstdlib>

namespace m4i {

void Comparer::compare(const Text* texts, std::size_t count, Columns& columns) {
    const auto length_of = [](const std::vector<Token>& tokens) { return static_cast<std::int32_t>(tokens.size()); };

    const Text hypothesis = texts[0];
    tokenise(hypothesis, tokeniser_, Stream::ngrams, ngrams_.tokens);
    ngrams_.dictionary.fill(ngrams_.tokens, ngrams_.hypothesis);
    matcher_.prepare(ngrams_.hypothesis, ngrams_.dictionary.size());

    const bool may_differ = tokeniser_ == Tokeniser::coco_space;
    const bool apart = may_differ && !single_spaced(hypothesis, ngrams_.tokens);
    if (apart) {
        tokenise(hypothesis, tokeniser_, Stream::longest_subsequence, spaces_.tokens);
        spaces_.dictionary.fill(spaces_.tokens, spaces_.hypothesis);
    }
    const Side& lcs_side = apart ? spaces_ : ngrams_;
    subsequence_.prepare(lcs_side.hypothesis, lcs_side.dictionary.size());

    const std::int32_t length = length_of(ngrams_.tokens);
    columns.hypothesis_length.push_back(length);
    columns.hypothesis_length_lcs.push_back(length_of(lcs_side.tokens));

    std::int32_t closest = 0;
    for (std::size_t i = 1; i < count; ++i) {
        tokenise(texts[i], tokeniser_, Stream::ngrams, ngrams_.tokens);
        ngrams_.dictionary.look_up(ngrams_.tokens, ngrams_.reference);
        const Matches matches = matcher_.match(ngrams_.reference);
        columns.matches.insert(columns.matches.end(), matches.begin(), matches.end());

        const std::int32_t here = length_of(ngrams_.tokens);
        columns.reference_length.push_back(here);
        const std::int32_t distance = std::abs(here - length);
        const std::int32_t before = std::abs(closest - length);
        if (i == 1 || distance < before || (distance == before && here < closest)) closest = here;

        if (apart || (may_differ && !single_spaced(texts[i], ngrams_.tokens))) {
            tokenise(texts[i], tokeniser_, Stream::longest_subsequence, spaces_.tokens);
            lcs_side.dictionary.look_up(spaces_.tokens, spaces_.reference);
            columns.lcs.push_back(subsequence_.length(spaces_.reference));
            columns.reference_length_lcs.push_back(length_of(spaces_.tokens));
        } else {
            columns.lcs.push_back(subsequence_.length(ngrams_.reference));
            columns.reference_length_lcs.push_back(here);
        }
    }
    columns.best_matches.insert(columns.best_matches.end(), matcher_.best().begin(), matcher_.best().end());
    columns.closest_length.push_back(closest);
    columns.offsets.push_back(static_cast<std::int64_t>(columns.lcs.size()));
}

}  // namespace m4i
