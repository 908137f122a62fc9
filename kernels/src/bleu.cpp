#include "bleu.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace m4i {
namespace {

constexpr double kTiny = 1e-15, kSmall = 1e-9;   // pycocoevalcap's
constexpr double kLogOfNothing = -9999999999.0;  // sacrebleu's
constexpr double kEpsilon = 0.1;                 // nltk's method1

double difference_of_sum(double a, double b, double sum) {
    return std::abs(a) >= std::abs(b) ? (a - sum) + b : (b - sum) + a;
}

// As Python's sum() of floats: one after the other, from 3.12 on with the rounding carried along (Neumaier 1974).
double sum_of(const double* values, int count, bool exact) {
    double sum = 0, lost = 0;
    for (int i = 0; i < count; ++i) {
        const double next = sum + values[i];
        if (exact) lost += difference_of_sum(sum, values[i], next);
        sum = next;
    }
    return exact ? sum + lost : sum;
}

// As math.fsum: the sum without any rounding, rounded once (Shewchuk 1997). Finite values, at most kOrders of them.
double exact_sum_of(const double* values, int count) {
    double parts[kOrders];
    int known = 0;
    for (int i = 0; i < count; ++i) {
        double x = values[i];
        int kept = 0;
        for (int j = 0; j < known; ++j) {
            const double sum = x + parts[j], low = difference_of_sum(x, parts[j], sum);
            if (low != 0) parts[kept++] = low;
            x = sum;
        }
        parts[kept++] = x;
        known = kept;
    }
    double sum = 0, low = 0;
    while (known > 0) {
        const double before = sum, next = parts[--known];
        sum = before + next;
        low = next - (sum - before);
        if (low != 0) break;
    }
    // Half-way cases: what lies below decides, and the addition did not see it.
    if (known > 0 && ((low < 0 && parts[known - 1] < 0) || (low > 0 && parts[known - 1] > 0))) {
        const double twice = low * 2, rounded = sum + twice;
        if (twice == rounded - sum) sum = rounded;
    }
    return sum;
}

}  // namespace

void CocoBleu::add(const std::int32_t* matched, std::int32_t guessed, std::int32_t wanted, double* scores) {
    const double ratio = (guessed + kTiny) / (wanted + kSmall);
    const double penalty = ratio < 1 ? exponential_(1 - 1 / ratio) : 1.0;
    double products[kOrders], product = 1.0;
    for (int n = 0; n < kOrders; ++n) {
        product = product * ((matched[n] + kTiny) / (std::max(guessed - n, 0) + kSmall));
        products[n] = product;
    }
    scores[0] += products[0] * penalty;
    scores[1] += second_(products[1]) * penalty;
    scores[2] += third_(products[2]) * penalty;
    scores[3] += fourth_(products[3]) * penalty;
}

void SacreBleu::add(const std::int32_t* matched, std::int32_t guessed, std::int32_t wanted, double* scores) {
    if (matched[0] == 0) return;  // no n-gram of a higher order can match either
    double penalty = 1.0;
    if (guessed < wanted) penalty = exponential_(1 - wanted / static_cast<double>(guessed));
    double logarithms[kOrders], halved = 1.0;
    int order = 0;
    for (int n = 0; n < kOrders; ++n) {
        const std::int32_t total = guessed - n;
        if (total > 0) {
            double precision = 0;
            if (matched[n] != 0) {
                precision = 100.0 * matched[n] / total;
            } else if (smooth_) {
                halved *= 2;
                precision = 100.0 / (halved * total);
            }
            logarithms[n] = precision == 0 ? kLogOfNothing : logarithm_(precision);
            order = n + 1;
        }
        scores[n] += penalty * exponential_(sum_of(logarithms, order, exact_sum_) / order);
    }
}

void NltkBleu::add(const std::int32_t* matched, std::int32_t guessed, std::int32_t wanted, double* scores) {
    if (matched[0] == 0) return;
    const double penalty = guessed > wanted ? 1.0 : exponential_(1 - wanted / static_cast<double>(guessed));
    double logarithms[kOrders], weighted[kOrders];
    for (int n = 0; n < kOrders; ++n) {
        const double total = std::max(guessed - n, 1);
        double precision = matched[n] / total;
        if (matched[n] == 0) precision = smooth_ ? kEpsilon / total : DBL_MIN;
        logarithms[n] = logarithm_(precision);
        const double weight = 1.0 / (n + 1);
        for (int i = 0; i <= n; ++i) weighted[i] = weight * logarithms[i];
        scores[n] += penalty * exponential_(exact_sum_of(weighted, n + 1));
    }
}

}  // namespace m4i
