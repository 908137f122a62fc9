// The Python face of the PTB tokeniser: its tables in, strings to strings.
#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "ptb.hpp"
#include "python.hpp"

namespace m4i::python {
namespace {

constexpr std::size_t kRuleColumns = 7;

void check(bool holds) {
    if (!holds) throw nb::value_error("the tables of the PTB tokeniser do not fit each other");
}

// `ends` of lists whose items are below `limit`.
ptb::Lists lists_of(const Integers& ends, const Integers& items, std::size_t lists, std::size_t limit) {
    check(ends.size() == lists && (lists == 0 || ends.data()[lists - 1] == static_cast<std::int32_t>(items.size())));
    for (std::size_t i = 0; i < lists; ++i) check(ends.data()[i] >= (i == 0 ? 0 : ends.data()[i - 1]));
    for (std::size_t i = 0; i < items.size(); ++i) {
        check(items.data()[i] >= 0 && static_cast<std::size_t>(items.data()[i]) < limit);
    }
    return {ends.data(), items.data()};
}

// The arguments are those of m4i_fast.kernels.ptb.tables.Tables, in its order.
void set_ptb_tables(Array<std::uint8_t> kinds, Integers free_ends, Integers free_items, Integers step_ends,
                    Integers step_items, Integers member_ends, Integers member_items, Integers accepts,
                    Integers starts, Integers rules, nb::list texts, Array<std::uint16_t> lower,
                    Array<std::uint32_t> lower_pairs, Array<std::uint8_t> in_words) {
    if (ptb::tables() != nullptr) return;
    const std::size_t states = accepts.size(), sets = member_ends.size(), count = texts.size();
    check(kinds.size() == ptb::kUnits && lower.size() == ptb::kUnits && in_words.size() == ptb::kUnits);
    check(rules.size() == count * kRuleColumns && count > 0 && count < 0xFF && lower_pairs.size() % 2 == 0 && states > 0);
    std::size_t most = 0;
    for (std::size_t i = 0; i < ptb::kUnits; ++i) most = std::max<std::size_t>(most, kinds.data()[i]);
    for (std::size_t i = 0; i < states; ++i) {
        check(accepts.data()[i] >= -1 && accepts.data()[i] < static_cast<std::int32_t>(count));
    }
    const ptb::Automaton automaton{states,
                                   sets,
                                   most + 1,
                                   lists_of(free_ends, free_items, states, states),
                                   lists_of(step_ends, step_items, states, sets * states),
                                   lists_of(member_ends, member_items, sets, most + 1),
                                   accepts.data()};
    const std::vector<std::int32_t> from(starts.data(), starts.data() + starts.size());
    for (const std::int32_t start : from) check(start >= 0 && static_cast<std::size_t>(start) < states);
    auto tables = std::make_unique<ptb::Tables>();
    std::memcpy(tables->kinds.data(), kinds.data(), ptb::kUnits);
    std::memcpy(tables->lower.data(), lower.data(), sizeof tables->lower);
    std::memcpy(tables->in_words.data(), in_words.data(), ptb::kUnits);
    tables->kinds_alone = tables->kinds;
    tables->kinds_alone['\n'] = tables->kinds[' '];
    for (std::size_t i = 0; i < lower_pairs.size(); i += 2) {
        tables->lower_pairs.emplace_back(lower_pairs.data()[i], lower_pairs.data()[i + 1]);
    }
    std::vector<ptb::State> states_of_starts;
    {
        const Released released;
        states_of_starts = ptb::determined(automaton, from, tables->moves);
    }
    check(!states_of_starts.empty());
    tables->kind_count = most + 1;
    tables->start = states_of_starts[0];
    for (std::size_t kind = 0; kind <= most; ++kind) {
        check(ptb::accepted(tables->move(tables->start, static_cast<std::uint8_t>(kind))) != 0);  // every unit is a token
    }
    for (std::size_t i = 0; i < count; ++i) {
        const std::int32_t* const row = rules.data() + i * kRuleColumns;
        const auto state = [&](std::int32_t start) {
            check(start >= 0 && static_cast<std::size_t>(start) < states_of_starts.size());
            return states_of_starts[static_cast<std::size_t>(start)];
        };
        check(row[0] >= 0 && row[0] < ptb::kMade);
        tables->rules.push_back({static_cast<ptb::Made>(row[0]), row[1] != 0, row[2] != 0, row[3], row[4], state(row[5]),
                                 state(row[6]), nb::cast<const char*>(texts[i])});
    }
    ptb::set_tables(std::move(tables));
}

ptb::Units units_of(PyObject* text) {
    if (!PyUnicode_Check(text)) throw nb::type_error("a text is not a string");
    return {PyUnicode_DATA(text), static_cast<std::size_t>(PyUnicode_GET_LENGTH(text)), static_cast<int>(PyUnicode_KIND(text))};
}

PyObject* string_of(const ptb::Rewriter& rewriter, const ptb::Line& line) {
    const char* const text = rewriter.text() + line.begin;
    const auto size = static_cast<Py_ssize_t>(line.end - line.begin);
    if (!line.ascii) return PyUnicode_DecodeUTF8(text, size, "surrogatepass");
    PyObject* const string = PyUnicode_New(size, 0x7F);
    if (string != nullptr) std::memcpy(PyUnicode_1BYTE_DATA(string), text, static_cast<std::size_t>(size));
    return string;
}

// Puts strings into a list from its place `next` on.
void fill(PyObject* list, std::size_t& next, const ptb::Rewriter& rewriter, const std::vector<ptb::Line>& lines) {
    for (const ptb::Line& line : lines) {
        PyObject* const string = string_of(rewriter, line);
        if (string == nullptr) throw nb::python_error();
        PyList_SET_ITEM(list, static_cast<Py_ssize_t>(next++), string);
    }
}

nb::object list_of(std::size_t size) {
    nb::object list = nb::steal(PyList_New(static_cast<Py_ssize_t>(size)));
    if (!list.is_valid()) throw nb::python_error();
    return list;
}

// Each text by itself.
nb::object ptb_alone(nb::tuple captions) {
    const std::size_t count = captions.size();
    const nb::object found = list_of(count);
    ptb::Rewriter rewriter;
    std::vector<ptb::Units> units;
    std::vector<ptb::Line> lines;
    std::size_t next = 0;
    for (std::size_t caption = 0; caption < count;) {
        units.clear();
        lines.clear();
        for (std::size_t bytes = 0; caption < count && bytes < kBytes && units.size() < kRecords; ++caption) {
            units.push_back(units_of(captions[caption].ptr()));
            bytes += units.back().size * static_cast<std::size_t>(units.back().width);
        }
        {
            const Released released;
            rewriter.clear();
            for (const ptb::Units& each : units) lines.push_back(rewriter.alone(each));
        }
        fill(found.ptr(), next, rewriter, lines);
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
    return found;
}

template <typename To, typename From>
void append(std::vector<To>& document, const ptb::Units& units) {
    const auto* const from = static_cast<const From*>(units.data);
    const std::size_t begin = document.size();
    document.insert(document.end(), from, from + units.size);
    for (std::size_t i = begin; i < document.size(); ++i) {
        if (document[i] == To{'\n'}) document[i] = To{' '};
    }
}

template <typename To>
std::vector<To> document_of(const nb::tuple& captions) {
    std::vector<To> document;
    std::size_t size = captions.size();
    for (std::size_t i = 0; i < captions.size(); ++i) size += units_of(captions[i].ptr()).size;
    document.reserve(size);
    for (std::size_t i = 0; i < captions.size(); ++i) {
        if (i > 0) document.push_back(To{'\n'});
        const ptb::Units units = units_of(captions[i].ptr());
        if (units.width == 1) {
            append<To, unsigned char>(document, units);
        } else if constexpr (sizeof(To) > 1) {
            if (units.width == 2) append<To, char16_t>(document, units);
            if constexpr (sizeof(To) > 2) {
                if (units.width == 4) append<To, char32_t>(document, units);
            }
        }
    }
    return document;
}

template <typename To>
nb::object read_document(const nb::tuple& captions) {
    const std::size_t count = captions.size();
    const nb::object found = list_of(count);
    if (count == 0) return found;
    const std::vector<To> document = document_of<To>(captions);
    ptb::Rewriter rewriter;
    rewriter.open({document.data(), document.size(), static_cast<int>(sizeof(To))});
    std::vector<ptb::Line> lines;
    std::size_t next = 0;
    for (bool more = true; more && next < count;) {
        lines.clear();
        {
            const Released released;
            rewriter.clear();
            more = rewriter.read(lines, count - next);
            // A tag with ends of lines may have brought more than were asked for.
            if (lines.size() > count - next) lines.resize(count - next);
        }
        fill(found.ptr(), next, rewriter, lines);
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
    // A document never has fewer lines than captions.
    if (next != count) throw std::logic_error("the document ended before its captions");
    return found;
}

template <typename From>
bool holds_surrogate(const ptb::Units& units) {
    const auto* const from = static_cast<const From*>(units.data);
    return std::any_of(from, from + units.size, [](From unit) { return (unit & ~From{0x7FF}) == 0xD800; });
}

// All texts as one document. ValueError where one holds a lone surrogate.
nb::object ptb_document(nb::tuple captions) {
    int width = 1;
    for (std::size_t i = 0; i < captions.size(); ++i) {
        const ptb::Units units = units_of(captions[i].ptr());
        width = std::max(width, units.width);
        if ((units.width == 2 && holds_surrogate<char16_t>(units)) || (units.width == 4 && holds_surrogate<char32_t>(units))) {
            throw nb::value_error("a lone surrogate");
        }
    }
    if (width == 1) return read_document<unsigned char>(captions);
    return width == 2 ? read_document<char16_t>(captions) : read_document<char32_t>(captions);
}

}  // namespace

void bind_ptb(nb::module_& m) {
    m.def("set_ptb_tables", &set_ptb_tables);
    m.def("ptb_alone", &ptb_alone);
    m.def("ptb_document", &ptb_document);
}

}  // namespace m4i::python
