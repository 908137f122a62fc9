#include "scores.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>

#include "machine.hpp"

namespace m4i {
namespace {

constexpr double kBeta = 1.2, kTiny = 1e-15, kSmall = 1e-9;

// pow and exp of the C library, which Python uses too, remembered by argument: captions are short, so the same few
// ratios come again and again, and a look costs a tenth of a pow.
template <double (*Function)(double)>
class Remembered {
public:
    Remembered() : entries_(std::make_unique<Entry[]>(kEntries)) {
        std::fill_n(entries_.get(), kEntries, Entry{0.0, Function(0.0)});
    }

    double operator()(double x) {
        Entry& entry = entries_[(std::bit_cast<std::uint64_t>(x) * 0x9E3779B97F4A7C15ull) >> (64 - kBits)];
        if (std::bit_cast<std::uint64_t>(entry.argument) != std::bit_cast<std::uint64_t>(x)) entry = {x, Function(x)};
        return entry.value;
    }

private:
    static constexpr int kBits = 12;
    static constexpr std::size_t kEntries = std::size_t{1} << kBits;

    struct Entry {
        double argument;
        double value;
    };

    std::unique_ptr<Entry[]> entries_;
};

double root2(double x) { return std::pow(x, 1.0 / 2); }
double root3(double x) { return std::pow(x, 1.0 / 3); }
double root4(double x) { return std::pow(x, 1.0 / 4); }
double exponential(double x) { return std::exp(x); }

struct Functions {
    Remembered<root2> second;
    Remembered<root3> third;
    Remembered<root4> fourth;
    Remembered<exponential> penalty;
};

double share(std::int32_t part, std::int32_t of) { return part / static_cast<double>(std::max(of, 1)); }

double f1(std::int32_t matched, std::int32_t guessed, std::int32_t wanted) {
    const double precision = share(matched, guessed), recall = share(matched, wanted), total = precision + recall;
    return total > 0 ? 2 * precision * recall / total : 0.0;
}

double f_beta(double precision, double recall) {
    if (precision == 0 || recall == 0) return 0.0;
    return (1 + kBeta * kBeta) * precision * recall / (recall + kBeta * kBeta * precision);
}

// Adds BLEU-1 .. BLEU-4 to `scores`.
void add_bleu(const std::int32_t* matched, std::int32_t guessed, std::int32_t wanted, Functions& functions,
              double* scores) {
    const double ratio = (guessed + kTiny) / (wanted + kSmall);
    const double penalty = ratio < 1 ? functions.penalty(1 - 1 / ratio) : 1.0;
    double products[kOrders], product = 1.0;
    for (int n = 0; n < kOrders; ++n) {
        product = product * ((matched[n] + kTiny) / (std::max(guessed - n, 0) + kSmall));
        products[n] = product;
    }
    scores[0] += products[0] * penalty;
    scores[1] += functions.second(products[1]) * penalty;
    scores[2] += functions.third(products[2]) * penalty;
    scores[3] += functions.fourth(products[3]) * penalty;
}

}  // namespace

void score(const Counted& counted, std::size_t records, Definition definition, bool mean, double* values) {
    Functions functions;
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
            if (definition == Definition::rouge_score) {
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
                add_bleu(matches, guessed, wanted, functions, out + 3);
            } else {
                out[0] = std::max(out[0], rouge_1);
                out[1] = std::max(out[1], rouge_2);
                out[2] = std::max(out[2], rouge_l);
            }
        }
        if (mean) {
            for (std::size_t i = 0; i < kScores; ++i) out[i] /= static_cast<double>(last - first);
        } else {
            if (definition == Definition::coco) out[2] = f_beta(highest_precision, highest_recall);
            add_bleu(counted.best_matches + record * kOrders, guessed, counted.closest_length[record], functions,
                     out + 3);
        }
    }
}

}  // namespace m4i
