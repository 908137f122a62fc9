// BLEU of one sentence as three packages define it; m4i_fast/text/recipes.py says what each is.
#pragma once

#include <cstdint>

#include "machine.hpp"
#include "remembered.hpp"

namespace m4i {

// Each adds BLEU-1 .. BLEU-4 to `scores`. `matched`: clipped n-grams by order; lengths in tokens.

class CocoBleu {
public:
    void add(const std::int32_t* matched, std::int32_t guessed, std::int32_t wanted, double* scores);

private:
    Remembered<root2> second_;
    Remembered<root3> third_;
    Remembered<root4> fourth_;
    Remembered<exponential> exponential_;
};

class SacreBleu {
public:
    SacreBleu(bool smooth, bool exact_sum) : smooth_(smooth), exact_sum_(exact_sum) {}

    void add(const std::int32_t* matched, std::int32_t guessed, std::int32_t wanted, double* scores);

private:
    bool smooth_;
    bool exact_sum_;
    Remembered<logarithm> logarithm_;
    Remembered<exponential> exponential_;
};

class NltkBleu {
public:
    explicit NltkBleu(bool smooth) : smooth_(smooth) {}

    void add(const std::int32_t* matched, std::int32_t guessed, std::int32_t wanted, double* scores);

private:
    bool smooth_;
    Remembered<logarithm> logarithm_;
    Remembered<exponential> exponential_;
};

}  // namespace m4i
