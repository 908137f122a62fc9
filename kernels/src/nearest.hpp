// All against all: for each hypothesis the candidates that are most like it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "keys.hpp"
#include "lcs.hpp"

namespace m4i {

// Texts as numbers, one after the other: text i is ids[offsets[i]] .. ids[offsets[i + 1] - 1].
struct IdTexts {
    const Id* ids;
    const std::int64_t* offsets;
    std::size_t count;

    const Id* begin(std::size_t text) const { return ids + offsets[text]; }
    std::uint32_t length(std::size_t text) const {
        return static_cast<std::uint32_t>(offsets[text + 1] - offsets[text]);
    }
};

// What is counted between two texts. The numbers are part of the Python face.
enum class Measure : int {
    unigrams = 0,     // clipped matches of single tokens: ROUGE-1
    subsequence = 1,  // the longest common one: ROUGE-L
};

// Candidates by length, so that the loop over a candidate's tokens ends where it ended the time before, and so that a
// whole length that cannot score well enough is left out.
class Candidates {
public:
    // Keeps pointing to the texts. `vocabulary`: all ids of candidates and hypotheses are below it.
    Candidates(IdTexts texts, std::size_t vocabulary);

    struct Group {
        std::uint32_t length;
        std::size_t first, last;  // in order()
    };

    const IdTexts& texts() const { return texts_; }
    const std::vector<std::uint32_t>& order() const { return order_; }
    const std::vector<Group>& groups() const { return groups_; }
    std::size_t vocabulary() const { return vocabulary_; }

private:
    IdTexts texts_;
    std::vector<std::uint32_t> order_;
    std::vector<Group> groups_;
    std::size_t vocabulary_;
};

// One for each thread.
class Searcher {
public:
    Searcher(const Candidates& candidates, Measure measure);

    // The `most` candidates of the highest F1 = 2PR / (P + R), the best first, of equals the one that stands first.
    // Fills what it finds (all candidates where they are fewer) and returns their number.
    std::size_t find(const Id* hypothesis, std::uint32_t length, std::size_t most, double* scores, std::int64_t* found);

    // What is counted, for every candidate.
    void count_all(const Id* hypothesis, std::uint32_t length, std::int32_t* counts);

private:
    struct Hit {
        double score;
        std::uint32_t candidate;
    };
    static bool better(const Hit& a, const Hit& b) {
        return a.score > b.score || (a.score == b.score && a.candidate < b.candidate);
    }

    void open(const Id* hypothesis, std::uint32_t length);
    void close();
    std::int32_t count(std::size_t candidate, std::uint32_t length);
    std::int32_t count_long(std::size_t candidate);

    const Candidates& candidates_;
    Measure measure_;
    std::vector<Id> hypothesis_;
    std::vector<std::uint64_t> positions_;  // by id: the bits where it stands in a hypothesis of up to 64 tokens
    std::vector<std::int32_t> number_;      // by id, for longer ones: its number among the hypothesis's tokens, or -1
    std::vector<std::int32_t> numbered_, other_, times_, left_;
    std::vector<double> scores_;            // by count, for the length at hand
    std::vector<Hit> hits_;                 // a heap, the worst on top
    LongestCommonSubsequence subsequence_;
};

}  // namespace m4i
