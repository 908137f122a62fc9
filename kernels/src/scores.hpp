// Scores from counts, record by record: the fast twin of m4i_fast/text/recipes.py, which defines them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>

#include "bleu.hpp"

namespace m4i {

// The numbers are part of the Python face: m4i_fast/text/recipes.py names them.
enum class Definition : int {
    coco = 0,
    rouge_score = 1,
    sacrebleu_exp = 2,
    sacrebleu_none = 3,
    nltk_method0 = 4,
    nltk_method1 = 5,
};
inline constexpr int kDefinitions = 6;

inline constexpr std::size_t kScores = 7;  // rouge_1, rouge_2, rouge_l, bleu_1 .. bleu_4

// As OverlapStatistics in kernels/statistics.py.
struct Counted {
    const std::int64_t* offsets;
    const std::int32_t* hypothesis_length;
    const std::int32_t* hypothesis_length_lcs;
    const std::int32_t* best_matches;
    const std::int32_t* closest_length;
    const std::int32_t* lcs;
    const std::int32_t* matches;
    const std::int32_t* reference_length;
    const std::int32_t* reference_length_lcs;
};

// The formulas of one recipe, or of several that have them in common but for ROUGE-L; what is remembered makes it worth
// keeping. `mean`: of the scores against each reference alone. `exact_sum`: whether this Python's sum() compensates
// rounding (from 3.12 on), which sacrebleu uses.
class Scorer {
public:
    Scorer(Definition definition, bool mean, bool exact_sum, double* values);

    // Takes one more recipe in, if that is possible.
    bool join(Definition definition, bool mean, double* values);

    // Writes kScores values a record, NaN without a reference, at `first` and after it.
    void score(const Counted& counted, std::size_t records, std::size_t first);

private:
    double** table_of(Definition definition) { return definition == Definition::coco ? &coco_ : &plain_; }

    Definition definition_;
    bool mean_;
    double* coco_ = nullptr;   // with ROUGE-L as pycocoevalcap has it
    double* plain_ = nullptr;  // with ROUGE-L as F1
    std::variant<CocoBleu, SacreBleu, NltkBleu> bleu_;
};

}  // namespace m4i
