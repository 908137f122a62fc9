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

// The largest F1 of a hypothesis against any reference. F1 is 2m / (g + w), so integers tell which it is, and only that
// one is divided out; where two are equal as fractions, their last bits may still differ.
class BestF1 {
public:
    explicit BestF1(std::int32_t guessed) : guessed_(guessed) {}

    void offer(std::int32_t matched, std::int32_t wanted) {
        const std::int64_t here = std::int64_t{matched} * (std::int64_t{guessed_} + wanted_);
        const std::int64_t best = std::int64_t{matched_} * (std::int64_t{guessed_} + wanted);
        bool better = here > best;
        if (((here == best && matched != matched_) || wanted > kSurelyTold || guessed_ > kSurelyTold)) [[unlikely]] {
            better = f1(matched, guessed_, wanted) > value();
        }
        matched_ = better ? matched : matched_;
        wanted_ = better ? wanted : wanted_;
    }

    double value() const { return f1(matched_, guessed_, wanted_); }

private:
    // Fractions of integers up to this differ by more than divisions round.
    static constexpr std::int32_t kSurelyTold = 1 << 20;

    std::int32_t guessed_, matched_ = 0, wanted_ = 0;
};

// pycocoevalcap's ROUGE-L: the largest precision and the largest recall, each on its own.
class CocoRougeL {
public:
    explicit CocoRougeL(std::int32_t guessed) : guessed_(guessed) {}

    void offer(std::int32_t lcs, std::int32_t wanted) {
        most_ = std::max(most_, lcs);
        // Equal fractions round alike, and unlike ones never the wrong way round.
        const bool better = std::int64_t{lcs} * recalled_of_ > std::int64_t{recalled_} * std::max(wanted, 1);
        recalled_ = better ? lcs : recalled_;
        recalled_of_ = better ? std::max(wanted, 1) : recalled_of_;
    }

    double value() const { return f_beta(share(most_, guessed_), share(recalled_, recalled_of_)); }

private:
    std::int32_t guessed_, most_ = 0, recalled_ = 0, recalled_of_ = 1;
};

// pycocoevalcap splits at single spaces: the empty text is one empty token, and equals another one.
std::int32_t lcs_of_coco(std::int32_t lcs, std::int32_t guessed, std::int32_t wanted) {
    return guessed == 0 && wanted == 0 ? 1 : lcs;
}

// What `counted` holds of one record.
struct Record {
    std::int64_t first, last;  // pairs
    std::int32_t guessed, steps;
};

template <typename Bleu>
void score_best(const Counted& counted, std::size_t number, const Record& record, Bleu& bleu, double* values,
                double* coco, double* plain) {
    BestF1 rouge_1(record.guessed), rouge_2(std::max(record.guessed - 1, 0)), rouge_l(record.steps);
    CocoRougeL coco_rouge_l(record.steps);
    for (std::int64_t pair = record.first; pair < record.last; ++pair) {
        const std::int32_t* const matches = counted.matches + pair * kOrders;
        const std::int32_t wanted = counted.reference_length[pair], steps = counted.reference_length_lcs[pair];
        const std::int32_t lcs = counted.lcs[pair];
        rouge_1.offer(matches[0], wanted);
        rouge_2.offer(matches[1], std::max(wanted - 1, 0));
        if (plain) rouge_l.offer(lcs, steps);
        if (coco) coco_rouge_l.offer(lcs_of_coco(lcs, record.steps, steps), steps);
    }
    values[0] = rouge_1.value();
    values[1] = rouge_2.value();
    if (plain) *plain = rouge_l.value();
    if (coco) *coco = coco_rouge_l.value();
    bleu.add(counted.best_matches + number * kOrders, record.guessed, counted.closest_length[number], values + 3);
}

template <typename Bleu>
void score_mean(const Counted& counted, const Record& record, Bleu& bleu, double* values, double* coco, double* plain) {
    double coco_sum = 0, plain_sum = 0;
    for (std::int64_t pair = record.first; pair < record.last; ++pair) {
        const std::int32_t* const matches = counted.matches + pair * kOrders;
        const std::int32_t wanted = counted.reference_length[pair], steps = counted.reference_length_lcs[pair];
        values[0] += f1(matches[0], record.guessed, wanted);
        values[1] += f1(matches[1], std::max(record.guessed - 1, 0), std::max(wanted - 1, 0));
        plain_sum += f1(counted.lcs[pair], record.steps, steps);
        const std::int32_t lcs = lcs_of_coco(counted.lcs[pair], record.steps, steps);
        coco_sum += f_beta(share(lcs, record.steps), share(lcs, steps));
        bleu.add(matches, record.guessed, wanted, values + 3);
    }
    const auto count = static_cast<double>(record.last - record.first);
    for (std::size_t i = 0; i < kScores; ++i) values[i] /= count;
    if (plain) *plain = plain_sum / count;
    if (coco) *coco = coco_sum / count;
}

}  // namespace

Scorer::Scorer(Definition definition, bool mean, bool exact_sum, double* values)
    : definition_(definition), mean_(mean), bleu_([&]() -> decltype(bleu_) {
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
      }()) {
    *table_of(definition) = values;
}

bool Scorer::join(Definition definition, bool mean, double* values) {
    const auto of_coco = [](Definition each) { return each == Definition::coco || each == Definition::rouge_score; };
    double** const table = table_of(definition);
    if (mean != mean_ || *table != nullptr || !of_coco(definition) || !of_coco(definition_)) return false;
    *table = values;
    return true;
}

void Scorer::score(const Counted& counted, std::size_t records, std::size_t first) {
    constexpr std::size_t kRougeL = 2;
    std::visit(
        [&](auto& bleu) {
            for (std::size_t i = 0; i < records; ++i) {
                const Record record{counted.offsets[i], counted.offsets[i + 1], counted.hypothesis_length[i],
                                    counted.hypothesis_length_lcs[i]};
                double values[kScores] = {}, coco = 0, plain = 0;
                if (record.first == record.last) {
                    std::fill_n(values, kScores, std::numeric_limits<double>::quiet_NaN());
                    coco = plain = values[0];
                } else if (mean_) {
                    score_mean(counted, record, bleu, values, coco_ ? &coco : nullptr, plain_ ? &plain : nullptr);
                } else {
                    score_best(counted, i, record, bleu, values, coco_ ? &coco : nullptr, plain_ ? &plain : nullptr);
                }
                const auto write = [&](double* table, double rouge_l) {
                    if (table == nullptr) return;
                    std::copy_n(values, kScores, table + (first + i) * kScores);
                    table[(first + i) * kScores + kRougeL] = rouge_l;
                };
                write(coco_, coco);
                write(plain_, plain);
            }
        },
        bleu_);
}

}  // namespace m4i
