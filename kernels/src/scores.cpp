#include "scores.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace m4i {
namespace {

constexpr double kBeta = 1.2;

double share(std::int32_t part, std::int32_t of) { return part / static_cast<double>(std::max(of, 1)); }

double f1(std::int32_t matched, std::int32_t guessed, std::int32_t wanted) {
    const double precision = share(matched, guessed), recall = share(matched, wanted), total = precision + recall;
    return total > 0 ? 2 * precision * recall / total : 0.0;
}

double f_beta(double precision, double recall) {
    if (precision == 0 || recall == 0) return 0.0;
    return (1 + kBeta * kBeta) * precision * recall / (recall + kBeta * kBeta * precision);
}

template <typename Bleu>
void score_all(const Counted& counted, std::size_t records, bool coco, bool mean, Bleu& bleu, double* values) {
    for (std::size_t record = 0; record < records; ++record) {
        double* const out = values + record * kScores;
        const std::int64_t first = counted.offsets[record], last = counted.offsets[record + 1];
        if (first == last) {
            std::fill_n(out, kScores, std::numeric_limits<double>::quiet_NaN());
            continue;
        }
        std::fill_n(out, kScores, 0.0);
        const std::int32_t guessed = counted.hypothesis_length[record], steps = counted.hypothesis_length_lcs[record];
        double highest_precision = 0, highest_recall = 0;
        for (std::int64_t pair = first; pair < last; ++pair) {
            const std::int32_t* const matches = counted.matches + pair * kOrders;
            const std::int32_t wanted = counted.reference_length[pair], lcs_wanted = counted.reference_length_lcs[pair];
            const double rouge_1 = f1(matches[0], guessed, wanted);
            const double rouge_2 = f1(matches[1], std::max(guessed - 1, 0), std::max(wanted - 1, 0));
            double rouge_l = 0;
            if (!coco) {
                rouge_l = f1(counted.lcs[pair], steps, lcs_wanted);
            } else {
                // pycocoevalcap splits at single spaces: the empty text is one empty token, and equals another one.
                const std::int32_t lcs = steps == 0 && lcs_wanted == 0 ? 1 : counted.lcs[pair];
                const double precision = share(lcs, steps), recall = share(lcs, lcs_wanted);
                highest_precision = std::max(highest_precision, precision);
                highest_recall = std::max(highest_recall, recall);
                if (mean) rouge_l = f_beta(precision, recall);
            }
            if (mean) {
                out[0] += rouge_1;
                out[1] += rouge_2;
                out[2] += rouge_l;
                bleu.add(matches, guessed, wanted, out + 3);
            } else {
                out[0] = std::max(out[0], rouge_1);
                out[1] = std::max(out[1], rouge_2);
                out[2] = std::max(out[2], rouge_l);
            }
        }
        if (mean) {
            for (std::size_t i = 0; i < kScores; ++i) out[i] /= static_cast<double>(last - first);
        } else {
            if (coco) out[2] = f_beta(highest_precision, highest_recall);
            bleu.add(counted.best_matches + record * kOrders, guessed, counted.closest_length[record], out + 3);
        }
    }
}

}  // namespace

Scorer::Scorer(Definition definition, bool mean, bool exact_sum)
    : coco_(definition == Definition::coco), mean_(mean), bleu_([&]() -> decltype(bleu_) {
          switch (definition) {
              case Definition::sacrebleu_exp:
              case Definition::sacrebleu_none:
                  return SacreBleu(definition == Definition::sacrebleu_exp, exact_sum);
              case Definition::nltk_method0:
              case Definition::nltk_method1:
                  return NltkBleu(definition == Definition::nltk_method1);
              default:
                  return CocoBleu();
          }
      }()) {}

void Scorer::score(const Counted& counted, std::size_t records, double* values) {
    std::visit([&](auto& bleu) { score_all(counted, records, coco_, mean_, bleu, values); }, bleu_);
}

}  // namespace m4i
