// The Python face of the overlap core: strings in once, arrays out.
#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "crew.hpp"
#include "overlap.hpp"
#include "python.hpp"
#include "scores.hpp"
#include "sets.hpp"

namespace nb = nanobind;
using namespace m4i::python;

namespace {

constexpr std::size_t kMostExpected = std::size_t{1} << 25;  // pairs: the first records may be unlike all others
constexpr std::size_t kTogether = 64;  // records compared at once: their texts and keys fit the first-level cache

void gather_record(PyObject* hypothesis, const nb::object& row, const Way& way, Batch& batch) {
    const std::size_t before = batch.texts.size();
    gather_text(hypothesis, way, batch);
    // The size is asked again each time: another thread may change a list while Python encodes a text.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(row.ptr()); ++i) {
        const nb::object text = nb::borrow<nb::object>(PySequence_Fast_GET_ITEM(row.ptr(), i));
        gather_text(text.ptr(), way, batch);
    }
    batch.sizes.push_back(static_cast<std::uint32_t>(batch.texts.size() - before));
}

struct Results {
    std::vector<std::int64_t> offsets{0};
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

    // Room for `records` records in all, whose pairs are guessed from those that are here: growing would copy and touch
    // all memory anew.
    void expect(std::size_t records) {
        const std::size_t here = offsets.size() - 1, found = static_cast<std::size_t>(offsets.back());
        if (here == 0) return;
        const std::size_t pairs = std::min(found * records / here + found / here + 1, kMostExpected);
        offsets.reserve(records + 1);
        for (auto* const column : {&hypothesis_length, &hypothesis_length_lcs, &closest_length}) column->reserve(records);
        best_matches.reserve(records);
        for (auto* const column : {&lcs, &reference_length, &reference_length_lcs}) column->reserve(pairs);
        matches.reserve(pairs);
    }

    void append(const Results& other) {
        const std::int64_t pairs = offsets.back();
        for (std::size_t i = 1; i < other.offsets.size(); ++i) offsets.push_back(pairs + other.offsets[i]);
        const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
        add(hypothesis_length, other.hypothesis_length);
        add(hypothesis_length_lcs, other.hypothesis_length_lcs);
        add(closest_length, other.closest_length);
        add(best_matches, other.best_matches);
        add(lcs, other.lcs);
        add(reference_length, other.reference_length);
        add(reference_length_lcs, other.reference_length_lcs);
        add(matches, other.matches);
    }
};

struct Job {
    Batch batch;
    std::size_t first = 0;  // record, where the references are prepared
    Results results;
};

struct PreparedWork {
    m4i::Comparer comparer;
    const m4i::Prepared* references;

    void operator()(Job& job) {
        const std::vector<std::uint32_t>& sizes = job.batch.sizes;
        const m4i::Columns columns = job.results.resize(sizes);
        for (std::size_t first = 0; first < sizes.size(); first += kTogether) {
            const std::size_t count = std::min(kTogether, sizes.size() - first);
            comparer.compare(job.batch.texts.data() + first, count, *references, job.first + first,
                             columns.from(first, static_cast<std::size_t>(job.results.offsets[first])));
        }
    }
};

struct Work {
    m4i::Comparer comparer;

    void operator()(Job& job) {
        const m4i::Text* texts = job.batch.texts.data();
        const std::vector<std::uint32_t>& sizes = job.batch.sizes;
        const m4i::Columns columns = job.results.resize(sizes);
        for (std::size_t first = 0; first < sizes.size(); first += kTogether) {
            const std::size_t count = std::min(kTogether, sizes.size() - first);
            comparer.compare(texts, sizes.data() + first, count,
                             columns.from(first, static_cast<std::size_t>(job.results.offsets[first])));
            for (std::size_t i = first; i < first + count; ++i) texts += sizes[i];
        }
    }
};

// Fills batches by `gather(batch, first record)` up to `records`, compares them by `works`, gives the arrays of
// OverlapStatistics.
template <typename Work, typename Gather>
nb::dict run(std::vector<Work> works, std::size_t records, Gather gather) {
    const std::size_t threads = works.size();
    m4i::Crew<Job, Work> crew(std::move(works), threads == 1 ? 1 : 2 * threads + 2);
    Results results;
    for (std::size_t record = 0; record < records || !crew.empty();) {
        if (record < records && !crew.full()) {
            Job& job = crew.next();
            job.batch.clear();
            job.first = record;
            while (record < records && job.batch.bytes < kBytes && job.batch.sizes.size() < kRecords) {
                gather(job.batch, record);
                ++record;
            }
            crew.hand_over();
            continue;
        }
        {
            nb::gil_scoped_release released;
            const bool first = results.offsets.size() == 1;
            results.append(crew.oldest().results);
            if (first) results.expect(records);
        }
        crew.collect();
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }

    const std::size_t pairs = results.lcs.size();
    nb::dict arrays;
    arrays["offsets"] = array_of(std::move(results.offsets), {records + 1});
    arrays["hypothesis_length"] = array_of(std::move(results.hypothesis_length), {records});
    arrays["hypothesis_length_lcs"] = array_of(std::move(results.hypothesis_length_lcs), {records});
    arrays["best_matches"] = array_of(std::move(results.best_matches), {records, m4i::kOrders});
    arrays["closest_length"] = array_of(std::move(results.closest_length), {records});
    arrays["lcs"] = array_of(std::move(results.lcs), {pairs});
    arrays["matches"] = array_of(std::move(results.matches), {pairs, m4i::kOrders});
    arrays["reference_length"] = array_of(std::move(results.reference_length), {pairs});
    arrays["reference_length_lcs"] = array_of(std::move(results.reference_length_lcs), {pairs});
    return arrays;
}

nb::dict overlap_statistics(nb::tuple hypotheses, nb::tuple references, int tokeniser, nb::callable encode,
                            const char* name, int threads) {
    const Way way{tokeniser_of(tokeniser), encode};
    const m4i::Machine& machine = machine_of(name);
    check_threads(threads);
    const std::size_t records = hypotheses.size();
    if (records != references.size()) throw nb::value_error("hypotheses and references differ in length");
    std::vector<Work> works;
    for (int i = 0; i < threads; ++i) works.push_back({m4i::Comparer(way.tokeniser, machine)});
    return run(std::move(works), records, [&](Batch& batch, std::size_t record) {
        gather_record(hypotheses[record].ptr(), row_of(references[record].ptr()), way, batch);
    });
}

// References of N records, tokenised: see m4i::Prepared.
class PreparedReferences {
public:
    PreparedReferences(nb::tuple references, int tokeniser, nb::callable encode, const char* name)
        : encode_(encode), prepared_(tokeniser_of(tokeniser), machine_of(name)) {
        const Way way{prepared_.tokeniser(), encode_};
        const std::size_t records = references.size();
        Batch batch;
        for (std::size_t record = 0; record < records;) {
            batch.clear();
            while (record < records && batch.bytes < kBytes && batch.sizes.size() < kRecords) {
                const nb::object row = row_of(references[record].ptr());
                const std::size_t before = batch.texts.size();
                for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(row.ptr()); ++i) {
                    const nb::object text = nb::borrow<nb::object>(PySequence_Fast_GET_ITEM(row.ptr(), i));
                    gather_text(text.ptr(), way, batch);
                }
                batch.sizes.push_back(static_cast<std::uint32_t>(batch.texts.size() - before));
                ++record;
            }
            {
                nb::gil_scoped_release released;
                prepared_.add(batch.texts.data(), batch.sizes.data(), batch.sizes.size());
            }
            if (PyErr_CheckSignals() != 0) throw nb::python_error();
        }
    }

    nb::dict statistics(nb::tuple hypotheses, const char* name, int threads) const {
        const Way way{prepared_.tokeniser(), encode_};
        const m4i::Machine& machine = machine_of(name);
        check_threads(threads);
        const std::size_t records = hypotheses.size();
        if (records != prepared_.records()) throw nb::value_error("hypotheses and references differ in length");
        std::vector<PreparedWork> works;
        for (int i = 0; i < threads; ++i) works.push_back({m4i::Comparer(way.tokeniser, machine), &prepared_});
        return run(std::move(works), records, [&](Batch& batch, std::size_t record) {
            gather_text(hypotheses[record].ptr(), way, batch);
            batch.sizes.push_back(prepared_.size(record) + 1);
        });
    }

private:
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

// The arrays of SetStatistics. `encode`: text to UTF-8.
nb::dict set_statistics(nb::tuple hypotheses, nb::tuple references, nb::callable encode) {
    const Way way{m4i::Tokeniser::whitespace, encode};
    const std::size_t records = hypotheses.size();
    if (records != references.size()) throw nb::value_error("hypotheses and references differ in length");
    std::vector<std::int32_t> of_hypothesis(2 * records), of_reference, shared, united;
    m4i::SetComparer comparer;
    Batch batch;
    for (std::size_t record = 0; record < records;) {
        batch.clear();
        const std::size_t first = record, pairs = united.size();
        while (record < records && batch.bytes < kBytes && batch.sizes.size() < kRecords) {
            gather_record(hypotheses[record].ptr(), row_of(references[record].ptr()), way, batch);
            ++record;
        }
        {
            nb::gil_scoped_release released;
            const std::size_t all = pairs + batch.texts.size() - batch.sizes.size();
            of_reference.resize(2 * all);
            shared.resize(2 * all);
            united.resize(all);
            const m4i::Text* texts = batch.texts.data();
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
    if (definition < 0 || definition >= m4i::kDefinitions) throw nb::value_error("no definition has this number");
    if (offsets.size() == 0) throw nb::value_error("offsets is empty");
    const std::size_t records = offsets.size() - 1;
    const std::int64_t* const at = offsets.data();
    bool whole = at[0] == 0 && at[records] == static_cast<std::int64_t>(lcs.size());
    for (std::size_t i = 0; i < records; ++i) whole &= at[i] <= at[i + 1];
    for (const Integers& each : {hypothesis_length, hypothesis_length_lcs, closest_length}) {
        whole &= each.size() == records;
    }
    for (const Integers& each : {reference_length, reference_length_lcs}) whole &= each.size() == lcs.size();
    whole &= best_matches.size() == records * m4i::kOrders && matches.size() == lcs.size() * m4i::kOrders;
    if (!whole) throw nb::value_error("the arrays do not fit each other");
    const m4i::Counted counted{at,
                               hypothesis_length.data(),
                               hypothesis_length_lcs.data(),
                               best_matches.data(),
                               closest_length.data(),
                               lcs.data(),
                               matches.data(),
                               reference_length.data(),
                               reference_length_lcs.data()};
    std::vector<double> values(records * m4i::kScores);
    {
        nb::gil_scoped_release released;
        m4i::score(counted, records, static_cast<m4i::Definition>(definition), mean, exact_sum, values.data());
    }
    return array_of(std::move(values), {records, m4i::kScores});
}

}  // namespace

NB_MODULE(_core, m) {
    m.doc() = "Overlap statistics of caption pairs; m4i_fast.kernels.backend is the door to it.";
    m.def("overlap_statistics", &overlap_statistics, nb::arg("hypotheses"), nb::arg("references"),
          nb::arg("tokeniser"), nb::arg("encode"), nb::arg("machine"), nb::arg("threads"));
    m.def("machines", &machines);
    nb::class_<PreparedReferences>(m, "PreparedReferences")
        .def(nb::init<nb::tuple, int, nb::callable, const char*>(), nb::arg("references"), nb::arg("tokeniser"),
             nb::arg("encode"), nb::arg("machine"))
        .def("statistics", &PreparedReferences::statistics, nb::arg("hypotheses"), nb::arg("machine"),
             nb::arg("threads"));
    m.def("set_statistics", &set_statistics, nb::arg("hypotheses"), nb::arg("references"), nb::arg("encode"));
    m.def("scores", &scores);
    bind_ids(m);
    bind_ptb(m);
}
