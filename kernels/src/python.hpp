// What the Python faces share: texts looked up, arrays handed out, arguments checked.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "column.hpp"
#include "gil.hpp"
#include "machine.hpp"
#include "scores.hpp"
#include "tokens.hpp"
#include "unicode.hpp"

namespace m4i::python {

namespace nb = nanobind;

// The GIL is held while the texts of some records are looked up and released while they are compared; nothing is
// copied: the strings are kept alive, and they cannot change.
inline constexpr std::size_t kRecords = 256;
inline constexpr std::size_t kBytes = std::size_t{1} << 17;

// Records on their way: their texts one after the other, and the objects that hold them.
class Batch {
public:
    Batch() = default;
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;
    ~Batch() { clear(); }

    // Needs the GIL.
    void clear() {
        for (std::size_t i = 0; i < used_; ++i) Py_DECREF(kept_[i]);
        used_ = bytes_ = 0;
        sizes.clear();
    }

    // Takes the reference to `object`.
    // Inline: handed over in memory, a text written by words is read by vectors, which waits for the words.
    [[gnu::always_inline]] void add(PyObject* object, const Text& text, std::size_t bytes) {
        if (used_ == texts_.size()) [[unlikely]] grow();
        kept_[used_] = object;
        texts_[used_] = text;
        ++used_;
        bytes_ += bytes;
    }

    bool full() const { return bytes_ >= kBytes || sizes.size() >= kRecords; }
    const Text* texts() const { return texts_.data(); }
    std::size_t count() const { return used_; }

    std::vector<std::uint32_t> sizes;  // texts a record, the hypothesis included

private:
    [[gnu::noinline]] void grow() {
        kept_.resize(2 * used_ + 64);
        texts_.resize(2 * used_ + 64);
    }

    std::vector<PyObject*> kept_;
    std::vector<Text> texts_;
    std::size_t used_ = 0, bytes_ = 0;
};

// How texts are read: as they are, all but those in which 13a replaces parts; those go through Python.
struct Way {
    Tokeniser tokeniser;
    const nb::callable& encode;
};

// Tells the core what Python knows of characters; once, when the module is made.
void tell_characters();

// For the tokeniser words: the text in NFC; with a capital sigma in it, whose lower case depends on what is around it, in
// lower case too.
nb::object settled_text(nb::object text);

inline unicode::Units text_units(PyObject* text) {
    return {PyUnicode_DATA(text), static_cast<std::size_t>(PyUnicode_GET_LENGTH(text)), static_cast<int>(PyUnicode_KIND(text))};
}

// A text that is not ASCII, or in which 13a replaces parts.
[[gnu::noinline]] inline void gather_other_text(PyObject* text, const Way& way, Batch& batch) {
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text) != 0) throw nb::python_error();  // a string that an old extension made has no kind yet
#endif
    if (needs_python(way.tokeniser, text_units(text))) {
        nb::object encoded = in_python([&]() -> nb::object { return way.encode(nb::borrow<nb::object>(text)); });
        if (!PyBytes_Check(encoded.ptr())) throw nb::type_error("a tokeniser gave no bytes");
        const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(encoded.ptr()));
        const char* const data = PyBytes_AS_STRING(encoded.ptr());
        batch.add(encoded.release().ptr(), {data, size, true}, size);
        return;
    }
    nb::object kept = nb::borrow<nb::object>(text);
    if (way.tokeniser == Tokeniser::words && !unicode::settled(text_units(text))) {
        kept = in_python([&] { return settled_text(std::move(kept)); });
    }
    const unicode::Units units = text_units(kept.ptr());
    const bool ascii = PyUnicode_IS_ASCII(kept.ptr()) != 0;
    const auto width = static_cast<std::uint8_t>(ascii ? 0 : units.width);
    batch.add(kept.release().ptr(), {static_cast<const char*>(units.data), units.size, false, width},
              units.size * static_cast<std::size_t>(units.width));
}

// Strings of other classes than str itself are the caller's to copy: such a class may lower or encode in its own way.
inline void gather_text(PyObject* text, const Way& way, Batch& batch) {
    if (!PyUnicode_CheckExact(text)) throw nb::type_error("a text is not a plain string");
    if (PyUnicode_IS_COMPACT_ASCII(text)) [[likely]] {
        const auto* const data = static_cast<const char*>(PyUnicode_DATA(text));
        const auto size = static_cast<std::size_t>(PyUnicode_GET_LENGTH(text));
        if (!needs_python(way.tokeniser, {data, size, 1})) {
            Py_INCREF(text);
            batch.add(text, {data, size, false}, size);
            return;
        }
    }
    gather_other_text(text, way, batch);
}

// Texts are scattered over memory, and all of them are more than a cache holds: asked for some records ahead.
inline constexpr std::size_t kAhead = 8;
inline constexpr Py_ssize_t kMostAsked = 16;  // of a row

// A string's header and some 100 characters.
inline void ask_for(const PyObject* text) {
    const auto* const memory = reinterpret_cast<const char*>(text);
    for (const std::size_t at : {0, 64}) __builtin_prefetch(memory + at);
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

    // Asks for the i-th item, if there is one: for a string, or for a row of strings.
    void ask_for_text(std::size_t i) const {
        if (i < size()) ask_for((*this)[i]);
    }
    void ask_for_row(std::size_t i) const {
        if (i + kAhead < size()) __builtin_prefetch((*this)[i + kAhead]);
        if (i >= size()) return;
        PyObject* const row = (*this)[i];
        if (!PyList_CheckExact(row) && !PyTuple_CheckExact(row)) return;
        PyObject* const* const texts = PySequence_Fast_ITEMS(row);
        for (Py_ssize_t k = 0; k < std::min(PySequence_Fast_GET_SIZE(row), kMostAsked); ++k) ask_for(texts[k]);
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

inline void gather_record(const Rows& hypotheses, const Rows& references, std::size_t record, const Way& way, Batch& batch) {
    hypotheses.ask_for_text(record + kAhead);
    references.ask_for_row(record + kAhead);
    const std::size_t before = batch.count();
    gather_text(hypotheses[record], way, batch);
    gather_row(row_of(references[record]), way, batch);
    batch.sizes.push_back(static_cast<std::uint32_t>(batch.count() - before));
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

template <typename T>
nb::object array_of(Column<T>&& values, std::initializer_list<std::size_t> shape) {
    using Number = typename Element<T>::type;
    auto* const data = reinterpret_cast<Number*>(values.data());
    nb::capsule owner(data, [](void* p) noexcept { std::free(p); });
    values.release();
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
