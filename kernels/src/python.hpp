// What the Python faces share: texts looked up, arrays handed out, arguments checked.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "machine.hpp"
#include "scores.hpp"
#include "tokens.hpp"

namespace m4i::python {

namespace nb = nanobind;

// The GIL is held while the texts of some records are looked up and released while they are compared; nothing is
// copied: the strings are kept alive, and they cannot change.
inline constexpr std::size_t kRecords = 256;
inline constexpr std::size_t kBytes = std::size_t{1} << 17;

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
    std::vector<Text> texts;
    std::vector<std::uint32_t> sizes;  // texts a record, the hypothesis included
    std::size_t bytes = 0;
};

// How texts become bytes: ASCII as it is, the rest (and what the tokeniser says) through Python; of ptb all as it is.
struct Way {
    Tokeniser tokeniser;
    const nb::callable& encode;
};

// Strings of other classes than str itself are the caller's to copy: such a class may lower or encode in its own way.
inline void gather_text(PyObject* text, const Way& way, Batch& batch) {
    if (!PyUnicode_CheckExact(text)) throw nb::type_error("a text is not a plain string");
    Py_INCREF(text);
    batch.kept.push_back(text);
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        const auto* const data = static_cast<const char*>(PyUnicode_DATA(text));
        const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(text));
        if (!needs_python(way.tokeniser, data, size)) {
            batch.texts.push_back({data, size, false});
            batch.bytes += size;
            return;
        }
    }
    if (way.tokeniser == Tokeniser::ptb) {
        const auto width = static_cast<std::uint8_t>(PyUnicode_KIND(text));
        const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(text));
        Py_INCREF(text);
        batch.kept.push_back(text);
        batch.texts.push_back({static_cast<const char*>(PyUnicode_DATA(text)), size, false, width});
        batch.bytes += size * width;
        return;
    }
    nb::object encoded = way.encode(nb::borrow<nb::object>(text));
    if (!PyBytes_Check(encoded.ptr())) throw nb::type_error("a tokeniser gave no bytes");
    const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(encoded.ptr()));
    batch.texts.push_back({PyBytes_AS_STRING(encoded.ptr()), size, true});
    batch.bytes += size;
    batch.kept.push_back(encoded.release().ptr());
}

// A list or tuple. A list may be changed by others whenever Python runs.
class Rows {
public:
    explicit Rows(const nb::object& rows) : rows_(rows) {
        if (!PyList_CheckExact(rows.ptr()) && !PyTuple_CheckExact(rows.ptr())) throw nb::type_error("neither a list nor a tuple");
    }

    std::size_t size() const { return static_cast<std::size_t>(PySequence_Fast_GET_SIZE(rows_.ptr())); }

    // Borrowed.
    PyObject* operator[](std::size_t i) const {
        if (i >= size()) throw nb::value_error("a list was changed while it was read");
        return PySequence_Fast_ITEMS(rows_.ptr())[i];
    }

private:
    nb::object rows_;
};

// The references of a record. Other sequences are the caller's to copy: some can be read but once.
inline nb::object row_of(PyObject* references) {
    if (!PyList_CheckExact(references) && !PyTuple_CheckExact(references)) {
        throw nb::type_error("the references of a record are neither a list nor a tuple");
    }
    return nb::borrow<nb::object>(references);
}

inline void gather_row(const nb::object& row, const Way& way, Batch& batch) {
    // The size is asked again each time: another thread may change a list while Python encodes a text.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(row.ptr()); ++i) {
        gather_text(PySequence_Fast_GET_ITEM(row.ptr(), i), way, batch);
    }
}

inline void gather_record(PyObject* hypothesis, const nb::object& row, const Way& way, Batch& batch) {
    const std::size_t before = batch.texts.size();
    gather_text(hypothesis, way, batch);
    gather_row(row, way, batch);
    batch.sizes.push_back(static_cast<std::uint32_t>(batch.texts.size() - before));
}

template <typename T>
struct Element {
    using type = T;
};
template <>
struct Element<Counts> {  // a row of integers
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

inline Tokeniser tokeniser_of(int number) {
    if (number < 0 || number >= kTokenisers) throw nb::value_error("no tokeniser has this number");
    return static_cast<Tokeniser>(number);
}

inline const Machine& machine_of(const char* name) {
    const Machine* const machine = machine_named(name);
    if (machine == nullptr) throw nb::value_error("no instruction set of this name runs here");
    return *machine;
}

inline Definition definition_of(int number) {
    if (number < 0 || number >= kDefinitions) throw nb::value_error("no definition has this number");
    return static_cast<Definition>(number);
}

inline void check_threads(int threads) {
    if (threads < 1 || threads > 1024) throw nb::value_error("threads must be 1 to 1024");
}

template <typename T>
using Array = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
using Integers = Array<std::int32_t>;

// Texts that are numbers already, and all against all.
void bind_ids(nb::module_& m);
void bind_pixels(nb::module_& m);
void bind_ptb(nb::module_& m);

// Scores of counts, and counts of sets.
void bind_scores(nb::module_& m);

}  // namespace m4i::python
