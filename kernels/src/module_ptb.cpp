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

PyObject* item(const nb::tuple& captions, std::size_t i) {
    return PyTuple_GET_ITEM(captions.ptr(), static_cast<Py_ssize_t>(i));  // borrowed; the caller holds the tuple
}

// Each text by itself.
nb::object ptb_alone(nb::tuple captions, const char* machine) {
    const std::size_t count = captions.size();
    const nb::object found = list_of(count);
    ptb::Rewriter rewriter(machine_of(machine));
    std::vector<ptb::Units> units;
    std::vector<ptb::Line> lines;
    std::size_t next = 0;
    for (std::size_t caption = 0; caption < count;) {
        units.clear();
        lines.clear();
        for (std::size_t bytes = 0; caption < count && bytes < kBytes && units.size() < kRecords; ++caption) {
            if (caption + kAhead < count) ask_for(item(captions, caption + kAhead));
            units.push_back(units_of(item(captions, caption)));
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

template <typename From>
bool holds_surrogate(const ptb::Units& units) {
    const auto* const from = static_cast<const From*>(units.data);
    return std::any_of(from, from + units.size, [](From unit) { return (unit & ~From{0x7FF}) == 0xD800; });
}

// All texts as one document in units of 8 or 16 bits, a line feed after each text but the last, those within them made
// blanks. Room is a guess that grows: to add the sizes up first would be to fetch all strings twice.
template <typename To>
class Document {
public:
    explicit Document(std::size_t texts) : units_(std::make_unique_for_overwrite<To[]>(64 * texts)), room_(64 * texts) {}

    // Whether the text fits: its characters may be wider.
    bool add(const ptb::Units& units, bool last) {
        if (units.width > 1 && sizeof(To) == 1) return false;
        make_room(size_ + (units.width == 4 ? 2 : 1) * units.size + 1);
        To* const to = units_.get() + size_;
        if (units.width == 1) {
            put(static_cast<const unsigned char*>(units.data), units.size);
        } else if (units.width == 2) {
            put(static_cast<const char16_t*>(units.data), units.size);
        } else {
            put_pairs(static_cast<const char32_t*>(units.data), units.size);
        }
        const bool one_line = units.width == 1 && std::memchr(units.data, '\n', units.size) == nullptr;
        if (!one_line) std::replace(to, units_.get() + size_, To{'\n'}, To{' '});
        if (!last) units_[size_++] = To{'\n'};
        return true;
    }

    ptb::Units units() const { return {units_.get(), size_, static_cast<int>(sizeof(To))}; }

private:
    void make_room(std::size_t size) {
        if (size <= room_) return;
        room_ = 2 * size;
        auto larger = std::make_unique_for_overwrite<To[]>(room_);
        std::copy_n(units_.get(), size_, larger.get());
        units_ = std::move(larger);
    }

    template <typename From>
    void put(const From* from, std::size_t size) {
        std::copy_n(from, size, units_.get() + size_);
        size_ += size;
    }

    void put_pairs(const char32_t* from, std::size_t size) {
        const auto add = [&](char32_t unit) { units_[size_++] = static_cast<To>(unit); };
        for (const char32_t* const end = from + size; from != end; ++from) {
            if (*from > 0xFFFF) add(0xD800 + ((*from - 0x10000) >> 10));
            add(*from > 0xFFFF ? 0xDC00 + ((*from - 0x10000) & 0x3FF) : *from);
        }
    }

    std::unique_ptr<To[]> units_;
    std::size_t size_ = 0, room_;
};

template <typename To>
nb::object read_document(const Document<To>& document, std::size_t count, const Machine& machine) {
    const nb::object found = list_of(count);
    ptb::Rewriter rewriter(machine);
    rewriter.open(document.units());
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

// In units of 8 bits where all texts fit into them, or else in those of 16, which the rewriter reads.
template <typename To>
nb::object ptb_document_in(const nb::tuple& captions, const Machine& machine) {
    const std::size_t count = captions.size();
    if (count == 0) return list_of(0);
    Document<To> document(count);
    for (std::size_t i = 0; i < count; ++i) {
        if (i + kAhead < count) ask_for(item(captions, i + kAhead));
        const ptb::Units units = units_of(item(captions, i));
        if ((units.width == 2 && holds_surrogate<char16_t>(units)) || (units.width == 4 && holds_surrogate<char32_t>(units))) {
            throw nb::value_error("a lone surrogate");
        }
        const bool fits = document.add(units, i + 1 == count);
        if constexpr (sizeof(To) == 1) {
            if (!fits) return ptb_document_in<char16_t>(captions, machine);
        }
    }
    return read_document(document, count, machine);
}

// All texts as one document. ValueError where one holds a lone surrogate.
nb::object ptb_document(nb::tuple captions, const char* machine) {
    return ptb_document_in<unsigned char>(captions, machine_of(machine));
}

// What the core found out of words of letters alone: those that are not their own token, and those that are not where a
// full stop and the end follow; nothing where they are not told by the block. For the tests.
nb::object ptb_plain_words() {
    const ptb::Tables* const tables = ptb::tables();
    if (tables == nullptr || !tables->plain.known || !tables->plain.full_stop || !tables->plain.dot) return nb::none();
    const auto text = [](ptb::Letters word) {
        char letters[ptb::Letters::kMost + 1] = {};
        for (std::size_t i = 0; i < ptb::Letters::kMost; ++i) {
            letters[i] = static_cast<char>((i < 8 ? word.low : word.high) >> (8 * (i % 8)));
        }
        return nb::str(letters);
    };
    nb::list others, dotted;
    for (std::size_t i = 0; i < tables->plain.count; ++i) others.append(text({tables->plain.words[i], 0}));
    tables->plain.dotted.for_each([&](const ptb::Letters& word) { dotted.append(text(word)); });
    return nb::make_tuple(others, dotted);
}

}  // namespace

void bind_ptb(nb::module_& m) {
    m.def("set_ptb_tables", &set_ptb_tables);
    m.def("ptb_alone", &ptb_alone);
    m.def("ptb_document", &ptb_document);
    m.def("ptb_plain_words", &ptb_plain_words);
}

}  // namespace m4i::python
