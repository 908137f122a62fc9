// The Python face of the overlap core: strings in once, arrays out.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "crew.hpp"
#include "overlap.hpp"
#include "scores.hpp"

namespace nb = nanobind;

namespace {

// The GIL is held while the texts of some records are looked up and released while they are compared; nothing is
// copied: the strings are kept alive, and they cannot change.
constexpr std::size_t kRecords = 256;
constexpr std::size_t kBytes = std::size_t{1} << 17;
constexpr std::size_t kMostExpected = std::size_t{1} << 25;  // pairs: the first records may be unlike all others
constexpr std::size_t kTogether = 64;  // records compared at once: their texts and keys fit the first-level cache

struct Batch {
    ~Batch() { clear(); }

    void clear() {
        for (PyObject* const object : kept) Py_DECREF(object);
        kept.clear();
        texts.clear();
        sizes.clear();
        bytes = 0;
    }

    std::vector<PyObject*> kept;
    std::vector<m4i::Text> texts;
    std::vector<std::uint32_t> sizes;  // texts a record, the hypothesis included
    std::size_t bytes = 0;
};

// How texts become bytes: ASCII as it is, the rest (and what the tokeniser says) through Python.
struct Way {
    m4i::Tokeniser tokeniser;
    const nb::callable& encode;
};

void gather_text(PyObject* text, const Way& way, Batch& batch) {
    if (!PyUnicode_Check(text)) throw nb::type_error("a text is not a string");
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        const auto* const data = static_cast<const char*>(PyUnicode_DATA(text));
        const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(text));
        if (!m4i::needs_python(way.tokeniser, data, size)) {
            Py_INCREF(text);
            batch.kept.push_back(text);
            batch.texts.push_back({data, size, false});
            batch.bytes += size;
            return;
        }
    }
    nb::object encoded = way.encode(nb::borrow<nb::object>(text));
    if (!PyBytes_Check(encoded.ptr())) throw nb::type_error("a tokeniser gave no bytes");
    const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(encoded.ptr()));
    batch.texts.push_back({PyBytes_AS_STRING(encoded.ptr()), size, true});
    batch.bytes += size;
    batch.kept.push_back(encoded.release().ptr());
}

// The references of a record as a list or tuple.
nb::object row_of(PyObject* references) {
    if (PyUnicode_Check(references) || PyBytes_Check(references)) {
        throw nb::type_error("the references of a record are not a sequence of strings");
    }
    nb::object row = nb::steal(PySequence_Fast(references, "the references of a record are not a sequence"));
    if (!row.is_valid()) throw nb::python_error();
    return row;
}

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

template <typename T>
struct Element {
    using type = T;
};
template <>
struct Element<m4i::Counts> {  // a row of integers
    using type = std::int32_t;
};

template <typename T>
nb::object array_of(std::vector<T>&& values, std::initializer_list<std::size_t> shape) {
    using Number = typename Element<T>::type;
    auto owned = std::make_unique<std::vector<T>>(std::move(values));
    auto* const data = reinterpret_cast<Number*>(owned->data());
    nb::capsule owner(owned.get(), [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    owned.release();
    return nb::cast(nb::ndarray<nb::numpy, Number>(data, shape, owner));
}

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

m4i::Tokeniser tokeniser_of(int number) {
    if (number < 0 || number >= m4i::kTokenisers) throw nb::value_error("no tokeniser has this number");
    return static_cast<m4i::Tokeniser>(number);
}

const m4i::Machine& machine_of(const char* name) {
    const m4i::Machine* const machine = m4i::machine_named(name);
    if (machine == nullptr) throw nb::value_error("no instruction set of this name runs here");
    return *machine;
}

void check_threads(int threads) {
    if (threads < 1 || threads > 1024) throw nb::value_error("threads must be 1 to 1024");
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

template <typename T>
using Array = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
using Integers = Array<std::int32_t>;

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
    m.def("scores", &scores);
}
