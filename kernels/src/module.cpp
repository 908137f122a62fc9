// The Python face of the overlap core: strings in once, arrays out.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "crew.hpp"
#include "overlap.hpp"
#include "python.hpp"
#include "scores.hpp"
#include "table.hpp"

namespace nb = nanobind;
using namespace m4i::python;

namespace {

constexpr std::size_t kTogether = 64;  // records compared at once: their texts and keys fit the first-level cache
constexpr std::size_t kLongText = 256;  // bytes; of such texts fewer fit it, so many bytes at once
constexpr std::size_t kLongBytes = std::size_t{1} << 13;
constexpr std::size_t kFewest = 32;  // records of a batch, but for the last: where little is left, each thread gets some

struct Job {
    Batch batch;
    std::size_t first = 0, first_pair = 0;
};

// Texts that come with their references.
struct Work {
    m4i::Comparer comparer;

    void operator()(const Job& job, m4i::Columns columns) {
        const m4i::Text* texts = job.batch.texts();
        const std::vector<std::uint32_t>& sizes = job.batch.sizes;
        for (std::size_t first = 0, pair = 0; first < sizes.size();) {
            std::size_t count = 0, bytes = 0, pairs = 0;
            const m4i::Text* end = texts;
            while (count < kTogether && first + count < sizes.size() && bytes < kLongBytes) {
                pairs += sizes[first + count] - 1;
                const m4i::Text* const next = end + sizes[first + count++];
                for (; end < next; ++end) bytes += end->size > kLongText ? end->size : 0;
            }
            comparer.compare(texts, sizes.data() + first, count, columns.from(first, pair));
            texts = end;
            first += count;
            pair += pairs;
        }
    }
};

// Hypotheses whose references are prepared.
struct PreparedWork {
    m4i::Comparer comparer;
    const m4i::Prepared* references;

    void operator()(const Job& job, m4i::Columns columns) {
        const std::vector<std::uint32_t>& sizes = job.batch.sizes;
        const std::size_t together = references->small() ? kRecords : kTogether;  // of small numbers all at once
        for (std::size_t first = 0, pair = 0; first < sizes.size(); first += together) {
            const std::size_t count = std::min(together, sizes.size() - first);
            comparer.compare(job.batch.texts() + first, count, *references, job.first + first, columns.from(first, pair));
            for (std::size_t i = first; i < first + count; ++i) pair += sizes[i] - 1;
        }
    }
};

// Keeps what `Work` has counted.
template <typename Work>
struct Counting {
    Work work;
    Table* table;

    void operator()(const Job& job) {
        table->fill(job.first, job.first_pair, job.batch.sizes, [&](m4i::Columns columns) { work(job, columns); });
    }
};

// Counts of some records, until they are scored.
struct Results {
    std::vector<std::int64_t> offsets;
    std::vector<std::int32_t> hypothesis_length, hypothesis_length_lcs, closest_length;
    std::vector<std::int32_t> lcs, reference_length, reference_length_lcs;
    std::vector<m4i::Counts> best_matches, matches;

    // Room for records with these numbers of texts, in place of what was there.
    m4i::Columns resize(const std::vector<std::uint32_t>& sizes) {
        offsets.assign(1, 0);
        for (const std::uint32_t size : sizes) offsets.push_back(offsets.back() + size - 1);
        const std::size_t records = sizes.size(), pairs = static_cast<std::size_t>(offsets.back());
        hypothesis_length.resize(records);
        hypothesis_length_lcs.resize(records);
        closest_length.resize(records);
        best_matches.resize(records);
        lcs.resize(pairs);
        reference_length.resize(pairs);
        reference_length_lcs.resize(pairs);
        matches.resize(pairs);
        return {hypothesis_length.data(), hypothesis_length_lcs.data(), best_matches.data(),
                closest_length.data(),    lcs.data(),                   matches.data(),
                reference_length.data(),  reference_length_lcs.data()};
    }

    m4i::Counted counted() const {
        return {offsets.data(),        hypothesis_length.data(), hypothesis_length_lcs.data(),
                best_matches.data()->of, closest_length.data(),    lcs.data(),
                matches.data()->of,    reference_length.data(),  reference_length_lcs.data()};
    }
};

// Scores what `Work` has counted, so that no count leaves the thread that made it.
template <typename Work>
struct Scoring {
    Work work;
    std::vector<m4i::Scorer> scorers;
    Results results;

    void operator()(const Job& job) {
        work(job, results.resize(job.batch.sizes));
        for (m4i::Scorer& scorer : scorers) scorer.score(results.counted(), job.batch.sizes.size(), job.first);
    }
};

// Lets each of `works` do some of the records, which `gather(batch, record)` looks up.
template <typename Work, typename Gather>
void run(std::vector<Work> works, std::size_t records, Gather gather) {
    const std::size_t threads = works.size();
    std::size_t pairs = 0;
    const auto fill = [&](Job& job, std::size_t record) {
        const std::size_t left = records - record, share = std::max(left / (2 * threads), kFewest);
        const std::size_t end = record + (threads == 1 ? left : std::min(left, share));
        job.batch.clear();
        job.first = record;
        job.first_pair = pairs;
        while (record < end && !job.batch.full()) {
            gather(job.batch, record);
            pairs += job.batch.sizes.back() - 1;
            ++record;
        }
        return record;
    };
    Crew<Job, Work, decltype(fill)>(std::move(works), records, fill).run();
}

// The arrays of OverlapStatistics.
template <typename Work, typename Gather>
nb::dict counts_of(std::vector<Work> works, std::size_t records, Gather gather) {
    Table table(records);
    std::vector<Counting<Work>> counting;
    for (Work& work : works) counting.push_back({std::move(work), &table});
    run(std::move(counting), records, gather);
    return table.arrays();
}

// Each a definition's number, and whether its scores are means over the references.
using Definitions = std::vector<std::pair<int, bool>>;

// A table of scores, float64 [N, 7], for each definition.
template <typename Work, typename Gather>
nb::list scores_of(std::vector<Work> works, std::size_t records, const Definitions& definitions, bool exact_sum,
                   Gather gather) {
    std::vector<m4i::Column<double>> tables;
    for (std::size_t i = 0; i < definitions.size(); ++i) tables.emplace_back(records * m4i::kScores);
    std::vector<Scoring<Work>> scoring;
    for (Work& work : works) {
        std::vector<m4i::Scorer> scorers;
        for (std::size_t i = 0; i < definitions.size(); ++i) {
            const m4i::Definition definition = definition_of(definitions[i].first);
            const bool mean = definitions[i].second;
            double* const values = tables[i].data();
            const bool joined = std::any_of(scorers.begin(), scorers.end(),
                                            [&](m4i::Scorer& each) { return each.join(definition, mean, values); });
            if (!joined) scorers.emplace_back(definition, mean, exact_sum, values);
        }
        scoring.push_back({std::move(work), std::move(scorers), {}});
    }
    run(std::move(scoring), records, gather);
    nb::list arrays;
    for (m4i::Column<double>& table : tables) arrays.append(array_of(std::move(table), {records, m4i::kScores}));
    return arrays;
}

// Records as they come from Python.
struct Given {
    Given(const nb::object& hypotheses, const nb::object& references, int tokeniser, const nb::callable& encode,
          const char* machine, int threads)
        : hypotheses(hypotheses), references(references), way{tokeniser_of(tokeniser), encode}, records(this->hypotheses.size()) {
        check_threads(threads);
        if (records != this->references.size()) throw nb::value_error("hypotheses and references differ in length");
        for (int i = 0; i < threads; ++i) works.push_back({m4i::Comparer(way.tokeniser, machine_of(machine))});
    }

    void operator()(Batch& batch, std::size_t record) const {
        gather_record(hypotheses, references, record, way, batch);
    }

    Rows hypotheses, references;
    Way way;
    std::size_t records;
    std::vector<Work> works;
};

nb::dict overlap_statistics(nb::object hypotheses, nb::object references, int tokeniser, nb::callable encode,
                            const char* machine, int threads) {
    Given given(hypotheses, references, tokeniser, encode, machine, threads);
    return counts_of(std::move(given.works), given.records, std::cref(given));
}

nb::list overlap_scores(nb::object hypotheses, nb::object references, int tokeniser, nb::callable encode,
                        const char* machine, int threads, const Definitions& definitions, bool exact_sum) {
    Given given(hypotheses, references, tokeniser, encode, machine, threads);
    return scores_of(std::move(given.works), given.records, definitions, exact_sum, std::cref(given));
}

// References of N records, tokenised: see m4i::Prepared.
class PreparedReferences {
public:
    PreparedReferences(nb::object references, int tokeniser, nb::callable encode, const char* machine)
        : encode_(encode), prepared_(tokeniser_of(tokeniser), machine_of(machine)) {
        const Way way{prepared_.tokeniser(), encode_};
        const Rows rows(references);
        const std::size_t records = rows.size();
        Batch batch;
        for (std::size_t record = 0; record < records;) {
            batch.clear();
            while (record < records && !batch.full()) {
                const std::size_t before = batch.count();
                rows.ask_for_row(record + kAhead);
                gather_row(row_of(rows[record]), way, batch);
                batch.sizes.push_back(static_cast<std::uint32_t>(batch.count() - before));
                ++record;
            }
            {
                const Released released;
                prepared_.add(batch.texts(), batch.sizes.data(), batch.sizes.size());
            }
            if (PyErr_CheckSignals() != 0) throw nb::python_error();
        }
        prepared_.finish();
    }

private:
    auto gathering(const Rows& hypotheses) const {
        return [this, &hypotheses](Batch& batch, std::size_t record) {
            hypotheses.ask_for_text(record + kAhead);
            gather_text(hypotheses[record], {prepared_.tokeniser(), encode_}, batch);
            batch.sizes.push_back(prepared_.size(record) + 1);
        };
    }

public:
    nb::dict statistics(nb::object hypotheses, const char* machine, int threads) const {
        const Rows rows(hypotheses);
        return counts_of(works(machine, threads), check(rows), gathering(rows));
    }

    nb::list scores(nb::object hypotheses, const char* machine, int threads, const Definitions& definitions,
                    bool exact_sum) const {
        const Rows rows(hypotheses);
        return scores_of(works(machine, threads), check(rows), definitions, exact_sum, gathering(rows));
    }

private:
    std::vector<PreparedWork> works(const char* machine, int threads) const {
        check_threads(threads);
        std::vector<PreparedWork> works;
        for (int i = 0; i < threads; ++i) {
            works.push_back({m4i::Comparer(prepared_.tokeniser(), machine_of(machine)), &prepared_});
        }
        return works;
    }

    std::size_t check(const Rows& hypotheses) const {
        if (hypotheses.size() != prepared_.records()) throw nb::value_error("hypotheses and references differ in length");
        return prepared_.records();
    }

    nb::callable encode_;
    m4i::Prepared prepared_;
};

// Names of the instruction sets that run here, the best first.
nb::tuple machines() {
    nb::list names;
    for (const char* const name : {"avx512", "avx2", "baseline"}) {
        if (m4i::machine_named(name) != nullptr) names.append(name);
    }
    return nb::tuple(names);
}

}  // namespace

NB_MODULE(_core, m) {
    m4i::python::tell_characters();
    m.doc() = "Overlap statistics of caption pairs; m4i_fast.kernels.backend is the door to it.";
    m.def("overlap_statistics", &overlap_statistics, nb::arg("hypotheses"), nb::arg("references"),
          nb::arg("tokeniser"), nb::arg("encode"), nb::arg("machine"), nb::arg("threads"));
    m.def("overlap_scores", &overlap_scores, nb::arg("hypotheses"), nb::arg("references"), nb::arg("tokeniser"),
          nb::arg("encode"), nb::arg("machine"), nb::arg("threads"), nb::arg("definitions"), nb::arg("exact_sum"));
    m.def("machines", &machines);
    nb::class_<PreparedReferences>(m, "PreparedReferences")
        .def(nb::init<nb::object, int, nb::callable, const char*>(), nb::arg("references"), nb::arg("tokeniser"),
             nb::arg("encode"), nb::arg("machine"))
        .def("statistics", &PreparedReferences::statistics, nb::arg("hypotheses"), nb::arg("machine"),
             nb::arg("threads"))
        .def("scores", &PreparedReferences::scores, nb::arg("hypotheses"), nb::arg("machine"), nb::arg("threads"),
             nb::arg("definitions"), nb::arg("exact_sum"));
    bind_scores(m);
    bind_ids(m);
    bind_pixels(m);
    bind_ptb(m);
}
