// The Python face of scores made of counts, and of the counts of sets.
#include <utility>
#include <vector>

#include "python.hpp"
#include "scores.hpp"
#include "sets.hpp"

namespace m4i::python {
namespace {

// The arrays of SetStatistics. `encode`: text to UTF-8.
nb::dict set_statistics(nb::object given, nb::object given_references, nb::callable encode) {
    const Rows hypotheses(given), references(given_references);
    const Way way{Tokeniser::whitespace, encode};
    const std::size_t records = hypotheses.size();
    if (records != references.size()) throw nb::value_error("hypotheses and references differ in length");
    std::vector<std::int32_t> of_hypothesis(2 * records), of_reference, shared, united;
    SetComparer comparer;
    Batch batch;
    for (std::size_t record = 0; record < records;) {
        batch.clear();
        const std::size_t first = record, pairs = united.size();
        while (record < records && !batch.full()) {
            gather_record(hypotheses, references, record, way, batch);
            ++record;
        }
        {
            const Released released;
            const std::size_t all = pairs + batch.count() - batch.sizes.size();
            of_reference.resize(2 * all);
            shared.resize(2 * all);
            united.resize(all);
            const Text* texts = batch.texts();
            std::size_t pair = pairs;
            for (std::size_t i = 0; i < batch.sizes.size(); ++i) {
                comparer.compare(texts, batch.sizes[i] - 1, {of_hypothesis.data() + 2 * (first + i), of_reference.data() + 2 * pair,
                                                             shared.data() + 2 * pair, united.data() + pair});
                texts += batch.sizes[i];
                pair += batch.sizes[i] - 1;
            }
        }
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
    const std::size_t pairs = united.size();
    nb::dict arrays;
    arrays["hypothesis_distinct"] = array_of(std::move(of_hypothesis), {records, 2});
    arrays["reference_distinct"] = array_of(std::move(of_reference), {pairs, 2});
    arrays["shared"] = array_of(std::move(shared), {pairs, 2});
    arrays["united"] = array_of(std::move(united), {pairs});
    return arrays;
}

// The arrays of OverlapStatistics in the order of its fields; float64 [N, 7].
nb::object scores(Array<std::int64_t> offsets, Integers hypothesis_length, Integers hypothesis_length_lcs,
                  Integers best_matches, Integers closest_length, Integers lcs, Integers matches,
                  Integers reference_length, Integers reference_length_lcs, int definition, bool mean, bool exact_sum) {
    const Definition chosen = definition_of(definition);
    if (offsets.size() == 0) throw nb::value_error("offsets is empty");
    const std::size_t records = offsets.size() - 1;
    const std::int64_t* const at = offsets.data();
    bool whole = at[0] == 0 && at[records] == static_cast<std::int64_t>(lcs.size());
    for (std::size_t i = 0; i < records; ++i) whole &= at[i] <= at[i + 1];
    for (const Integers& each : {hypothesis_length, hypothesis_length_lcs, closest_length}) {
        whole &= each.size() == records;
    }
    for (const Integers& each : {reference_length, reference_length_lcs}) whole &= each.size() == lcs.size();
    whole &= best_matches.size() == records * kOrders && matches.size() == lcs.size() * kOrders;
    if (!whole) throw nb::value_error("the arrays do not fit each other");
    const Counted counted{at,
                               hypothesis_length.data(),
                               hypothesis_length_lcs.data(),
                               best_matches.data(),
                               closest_length.data(),
                               lcs.data(),
                               matches.data(),
                               reference_length.data(),
                               reference_length_lcs.data()};
    std::vector<double> values(records * kScores);
    {
        const Released released;
        Scorer(chosen, mean, exact_sum, values.data()).score(counted, records, 0);
    }
    return array_of(std::move(values), {records, kScores});
}

}  // namespace

void bind_scores(nb::module_& m) {
    m.def("set_statistics", &set_statistics, nb::arg("hypotheses"), nb::arg("references"), nb::arg("encode"));
    m.def("scores", &scores);
}

}  // namespace m4i::python
