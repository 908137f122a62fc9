// The Python face of the overlap core: strings in once, arrays out.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cmath>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "overlap.hpp"

namespace nb = nanobind;

namespace {

// The GIL is held while strings are copied and released while they are compared, this many bytes at a time.
constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::size_t kLongest = std::size_t{1} << 31;

// Texts of some records, copied, so that nothing Python owns is touched without the GIL.
struct Batch {
    struct Span {
        std::size_t begin;
        std::size_t end;
        bool ready;
    };

    void clear() {
        bytes.clear();
        spans.clear();
        counts.clear();
    }

    void add(const char* data, std::size_t size, bool ready) {
        if (size >= kLongest) throw std::length_error("a text is longer than 2 GiB");
        const std::size_t begin = bytes.size();
        bytes.insert(bytes.end(), data, data + size);
        spans.push_back({begin, bytes.size(), ready});
    }

    std::vector<char> bytes;
    std::vector<Span> spans;
    std::vector<std::size_t> counts;  // texts a record, the hypothesis included
};

void gather_text(PyObject* text, const nb::callable& encode, Batch& batch) {
    if (!PyUnicode_Check(text)) throw nb::type_error("a text is not a string");
    if (PyUnicode_IS_ASCII(text)) {
        batch.add(static_cast<const char*>(PyUnicode_DATA(text)), static_cast<std::size_t>(PyUnicode_GET_LENGTH(text)),
                  false);
        return;
    }
    const nb::bytes encoded = nb::cast<nb::bytes>(encode(nb::borrow<nb::object>(text)));
    batch.add(encoded.c_str(), encoded.size(), true);
}

void gather_record(PyObject* hypothesis, PyObject* references, const nb::callable& encode, Batch& batch) {
    const std::size_t before = batch.spans.size();
    gather_text(hypothesis, encode, batch);
    if (PyUnicode_Check(references) || PyBytes_Check(references)) {
        throw nb::type_error("the references of a record are not a sequence of strings");
    }
    const nb::object row = nb::steal(PySequence_Fast(references, "the references of a record are not a sequence"));
    if (!row.is_valid()) throw nb::python_error();
    // The size is asked again each time: another thread may change a list while `encode` runs.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(row.ptr()); ++i) {
        const nb::object text = nb::borrow<nb::object>(PySequence_Fast_GET_ITEM(row.ptr(), i));
        gather_text(text.ptr(), encode, batch);
    }
    batch.counts.push_back(batch.spans.size() - before);
}

void compare(Batch& batch, m4i::Comparer& comparer, std::vector<m4i::Text>& texts, m4i::Columns& columns) {
    batch.bytes.insert(batch.bytes.end(), m4i::kPadding, '\0');
    texts.clear();
    for (const Batch::Span& span : batch.spans) {
        texts.push_back({batch.bytes.data() + span.begin, batch.bytes.data() + span.end, span.ready});
    }
    const m4i::Text* at = texts.data();
    for (const std::size_t count : batch.counts) {
        comparer.compare(at, count, columns);
        at += count;
    }
}

template <typename T>
nb::object array_of(std::vector<T>&& values, std::initializer_list<std::size_t> shape) {
    auto owned = std::make_unique<std::vector<T>>(std::move(values));
    T* const data = owned->data();
    nb::capsule owner(owned.get(), [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    owned.release();
    return nb::cast(nb::ndarray<nb::numpy, T>(data, shape, owner));
}

nb::dict overlap_statistics(nb::tuple hypotheses, nb::tuple references, int tokeniser, nb::callable encode) {
    if (tokeniser < 0 || tokeniser > 3) throw nb::value_error("no tokeniser has this number");
    const std::size_t records = hypotheses.size();
    if (records != references.size()) throw nb::value_error("hypotheses and references differ in length");

    m4i::Columns columns;
    m4i::Comparer comparer(static_cast<m4i::Tokeniser>(tokeniser));
    Batch batch;
    std::vector<m4i::Text> texts;
    for (std::size_t record = 0; record < records;) {
        batch.clear();
        while (record < records && batch.bytes.size() < kChunk && batch.spans.size() < kChunk / 16) {
            gather_record(hypotheses[record].ptr(), references[record].ptr(), encode, batch);
            ++record;
        }
        {
            nb::gil_scoped_release released;
            compare(batch, comparer, texts, columns);
        }
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }

    const std::size_t pairs = columns.lcs.size();
    nb::dict arrays;
    arrays["offsets"] = array_of(std::move(columns.offsets), {records + 1});
    arrays["hypothesis_length"] = array_of(std::move(columns.hypothesis_length), {records});
    arrays["hypothesis_length_lcs"] = array_of(std::move(columns.hypothesis_length_lcs), {records});
    arrays["best_matches"] = array_of(std::move(columns.best_matches), {records, m4i::kOrders});
    arrays["closest_length"] = array_of(std::move(columns.closest_length), {records});
    arrays["lcs"] = array_of(std::move(columns.lcs), {pairs});
    arrays["matches"] = array_of(std::move(columns.matches), {pairs, m4i::kOrders});
    arrays["reference_length"] = array_of(std::move(columns.reference_length), {pairs});
    arrays["reference_length_lcs"] = array_of(std::move(columns.reference_length_lcs), {pairs});
    return arrays;
}

using Reals = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// numpy's own pow and exp may be vector versions that differ from the C library in the last bit; Python's are these.
nb::object power(Reals values, double exponent) {
    std::vector<double> results(values.size());
    for (std::size_t i = 0; i < results.size(); ++i) results[i] = std::pow(values.data()[i], exponent);
    return array_of(std::move(results), {values.size()});
}

nb::object exponential(Reals values) {
    std::vector<double> results(values.size());
    for (std::size_t i = 0; i < results.size(); ++i) results[i] = std::exp(values.data()[i]);
    return array_of(std::move(results), {values.size()});
}

}  // namespace

NB_MODULE(_core, m) {
    m.doc() = "Overlap statistics of caption pairs; m4i_fast.kernels.backend is the door to it.";
    m.def("overlap_statistics", &overlap_statistics, nb::arg("hypotheses"), nb::arg("references"),
          nb::arg("tokeniser"), nb::arg("encode"));
    m.def("power", &power, nb::arg("values"), nb::arg("exponent"));
    m.def("exponential", &exponential, nb::arg("values"));
}
