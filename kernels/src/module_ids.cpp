// The Python face of what works on numbers: records of token ids, all against all, and texts as numbers.
#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>

#include "nearest.hpp"
#include "numbering.hpp"
#include "python.hpp"
#include "records.hpp"
#include "small.hpp"

namespace m4i::python {
namespace {

using Offsets = Array<std::int64_t>;
using SmallIntegers = Array<Small>;

constexpr std::size_t kTogether = 64;    // records compared at once
constexpr std::size_t kChunk = 2048;     // records a thread takes at once: what they give stays in the second-level cache
constexpr std::size_t kLeastChunk = 256;  // at the end, where each thread gets some of what is left

// Whether numbers never fall, by more than an int32 holds neither: of differences the bits that any has; of one that is
// negative the highest.
bool rises(const std::int64_t* at, std::size_t count) {
    std::uint64_t steps = 0;
    for (std::size_t i = 0; i < count; ++i) steps |= static_cast<std::uint64_t>(at[i + 1]) - static_cast<std::uint64_t>(at[i]);
    return steps <= std::uint64_t{std::numeric_limits<std::int32_t>::max()};
}

// Arrays of a caller; what is wrong with them was found before, here only memory is kept safe.
IdTexts whole_texts_of(const Integers& ids, const Offsets& offsets) {
    if (offsets.size() == 0) throw nb::value_error("offsets is empty");
    const std::size_t count = offsets.size() - 1;
    const std::int64_t* const at = offsets.data();
    if (at[0] != 0 || at[count] != static_cast<std::int64_t>(ids.size())) {
        throw nb::value_error("ids and offsets do not fit each other");
    }
    return {ids.data(), at, count};
}

IdTexts texts_of(const Integers& ids, const Offsets& offsets) {
    const IdTexts texts = whole_texts_of(ids, offsets);
    if (!rises(texts.offsets, texts.count)) throw nb::value_error("ids and offsets do not fit each other");
    return texts;
}

// The same numbers in 16 bits, kShort more than there are, or none at all where they do not fit: nullptr.
const Small* small_of(const SmallIntegers& packed, const Integers& ids) {
    if (packed.size() == 0) return nullptr;
    if (packed.size() < ids.size() + kShort) throw nb::value_error("packed ids are fewer than ids");
    return packed.data();
}

struct Records {
    IdTexts hypotheses, references;
    const std::int64_t* rows;  // the references of record i: rows[i] .. rows[i + 1]
    const Small* said = nullptr;  // the hypotheses' ids and the references' in 16 bits, where they are there already
    const Small* wanted = nullptr;

    std::size_t count() const { return hypotheses.count; }
    std::size_t pairs() const { return static_cast<std::size_t>(rows[count()]); }
};

Records records_of(IdTexts hypotheses, IdTexts references, const Offsets& rows) {
    const bool whole = rows.size() == hypotheses.count + 1 && rows.data()[0] == 0 &&
                       rows.data()[hypotheses.count] == static_cast<std::int64_t>(references.count);
    if (!whole) throw nb::value_error("rows do not fit the texts");
    return {hypotheses, references, rows.data()};
}

// Texts `first` to `last`.
void check(const IdTexts& texts, std::size_t first, std::size_t last) {
    const bool whole = texts.offsets[first] >= 0 && texts.offsets[last] <= texts.offsets[texts.count] &&
                       rises(texts.offsets + first, last - first);
    if (!whole) throw nb::value_error("ids and offsets do not fit each other");
}

// Records `first` to `last`, and by whoever reads these numbers next: looked through by one thread before all else, they
// would have left its caches again.
void check(const Records& records, std::size_t first, std::size_t last) {
    const std::int64_t from = records.rows[first], to = records.rows[last];
    const bool whole = from >= 0 && to <= static_cast<std::int64_t>(records.references.count) &&
                       rises(records.rows + first, last - first);
    if (!whole) throw nb::value_error("rows do not fit the texts");
    check(records.hypotheses, first, last);
    check(records.references, static_cast<std::size_t>(from), static_cast<std::size_t>(to));
}

// Some records of any numbers on their way to a comparer.
class Group {
public:
    explicit Group(const Machine& machine) : comparer_(machine) {}

    // `work(comparer, texts, sizes, count, first record)` for records `first` to `last`, some at once.
    template <typename Work>
    void compare(const Records& records, std::size_t first, std::size_t last, const Work& work) {
        while (first < last) {
            const std::size_t begin = first, end = std::min(first + kTogether, last);
            texts_.clear();
            sizes_.clear();
            for (; first < end; ++first) {
                texts_.push_back({records.hypotheses.begin(first), records.hypotheses.length(first), true});
                const auto from = static_cast<std::size_t>(records.rows[first]);
                const auto to = static_cast<std::size_t>(records.rows[first + 1]);
                for (std::size_t i = from; i < to; ++i) {
                    texts_.push_back({records.references.begin(i), records.references.length(i), true});
                }
                sizes_.push_back(static_cast<std::uint32_t>(1 + to - from));
            }
            work(comparer_, texts_.data(), sizes_.data(), end - begin, begin);
        }
    }

private:
    RecordComparer<Id> comparer_;
    std::vector<TokensOf<Id>> texts_;
    std::vector<std::uint32_t> sizes_;
};

// Some records of numbers that fit 16 bits.
class SmallGroup {
public:
    explicit SmallGroup(const Machine& machine) : machine_(machine), comparer_(machine) {}

    // `work(comparer, records, first record)`; not where a number does not fit. Returns whether all did.
    template <typename Work>
    bool compare(const Records& records, std::size_t first, std::size_t last, const Work& work) {
        SmallTexts said, wanted;
        const bool fit = narrow(records.hypotheses, records.said, first, last, said_, said) &&
                         narrow(records.references, records.wanted, static_cast<std::size_t>(records.rows[first]),
                                static_cast<std::size_t>(records.rows[last]), wanted_, wanted);
        said.offsets += first;
        if (fit) work(comparer_, SmallRecords{said, wanted, records.rows + first, last - first, nullptr}, first);
        return fit;
    }

private:
    bool narrow(const IdTexts& texts, const Small* packed, std::size_t first, std::size_t last, std::vector<Small>& out,
                SmallTexts& found) const {
        if (packed != nullptr) {
            found = {packed + texts.offsets[first], texts.offsets, texts.offsets[first]};
            return true;
        }
        const auto count = static_cast<std::size_t>(texts.offsets[last] - texts.offsets[first]);
        if (out.size() < count + kShort) out.resize(count + kShort);
        found = {out.data(), texts.offsets, texts.offsets[first]};
        return machine_.narrow(texts.begin(first), count, out.data());
    }

    const Machine& machine_;
    SmallComparer comparer_;
    std::vector<Small> said_, wanted_;
};

// The same for all records, by `threads` threads. Numbers that fit 16 bits, as those of captions do, are compared as such.
template <typename Work>
void for_groups(const Records& records, const Machine& machine, int threads, Work work) {
    std::atomic<std::size_t> next{0};
    std::mutex mutex;
    std::exception_ptr error;
    const auto take = [&](std::size_t& begin, std::size_t& end) {
        begin = next.load();
        do {
            if (begin >= records.count()) return false;
            const std::size_t left = records.count() - begin, share = left / (2 * static_cast<std::size_t>(threads));
            end = begin + std::min(left, threads == 1 ? kChunk : std::clamp(share, kLeastChunk, kChunk));
        } while (!next.compare_exchange_weak(begin, end));
        return true;
    };
    const auto serve = [&] {
        try {
            Group wide(machine);
            SmallGroup narrow(machine);
            std::size_t begin, end;
            while (take(begin, end)) {
                check(records, begin, end);
                work.make_ready(begin, end);
                if (!narrow.compare(records, begin, end, work)) wide.compare(records, begin, end, work);
            }
        } catch (...) {
            const std::lock_guard lock(mutex);
            error = std::current_exception();
            next = records.count();
        }
    };
    std::vector<std::thread> crew;
    crew.reserve(static_cast<std::size_t>(threads));
    try {
        for (int i = 1; i < threads; ++i) crew.emplace_back(serve);
    } catch (const std::system_error&) {  // the system gives no more: those that there are do the work
    }
    serve();
    for (std::thread& thread : crew) thread.join();
    if (error) std::rethrow_exception(error);
}

// What is done with some records: all that is counted, or the subsequences alone.
struct Counting {
    void operator()(RecordComparer<Id>& comparer, const TokensOf<Id>* texts, const std::uint32_t* sizes, std::size_t count,
                    std::size_t first) const {
        comparer.compare(texts, sizes, count, columns.from(first, static_cast<std::size_t>(rows[first])));
    }
    void operator()(SmallComparer& comparer, const SmallRecords& records, std::size_t first) const {
        comparer.compare(records, columns.from(first, static_cast<std::size_t>(rows[first])));
    }

    void make_ready(std::size_t first, std::size_t last) const {
        const auto pair = static_cast<std::size_t>(rows[first]);
        columns.from(first, pair).fetch(last - first, static_cast<std::size_t>(rows[last]) - pair);
    }

    const std::int64_t* rows;
    Columns columns;
};

struct Measuring {
    void operator()(RecordComparer<Id>& comparer, const TokensOf<Id>* texts, const std::uint32_t* sizes, std::size_t count,
                    std::size_t first) const {
        comparer.subsequences(texts, sizes, count, lengths + rows[first]);
    }
    void operator()(SmallComparer& comparer, const SmallRecords& records, std::size_t first) const {
        comparer.subsequences(records, lengths + rows[first]);
    }

    // Zeros: pairs are written in the order of their lengths, and each would wait for memory that is in no cache.
    void make_ready(std::size_t first, std::size_t last) const { std::fill(lengths + rows[first], lengths + rows[last], 0); }

    const std::int64_t* rows;
    std::int32_t* lengths;
};

nb::dict id_statistics(Integers ids, SmallIntegers packed, Offsets offsets, Integers other_ids,
                       SmallIntegers other_packed, Offsets other_offsets, Offsets rows, const char* name, int threads) {
    const Machine& machine = machine_of(name);
    check_threads(threads);
    Records records = records_of(whole_texts_of(ids, offsets), whole_texts_of(other_ids, other_offsets), rows);
    records.said = small_of(packed, ids);
    records.wanted = small_of(other_packed, other_ids);
    const std::size_t count = records.count(), pairs = records.pairs();
    Column<std::int32_t> length(count), length_lcs(count), closest(count), lcs(pairs), other(pairs), other_lcs(pairs);
    Column<Counts> best(count), matches(pairs);
    const Columns columns{length.data(), length_lcs.data(), best.data(),  closest.data(),
                          lcs.data(),    matches.data(),    other.data(), other_lcs.data()};
    {
        const Released released;
        for_groups(records, machine, threads, Counting{records.rows, columns});
    }
    nb::dict arrays;
    arrays["offsets"] = array_of(std::vector<std::int64_t>(records.rows, records.rows + count + 1), {count + 1});
    arrays["hypothesis_length"] = array_of(std::move(length), {count});
    arrays["hypothesis_length_lcs"] = array_of(std::move(length_lcs), {count});
    arrays["best_matches"] = array_of(std::move(best), {count, kOrders});
    arrays["closest_length"] = array_of(std::move(closest), {count});
    arrays["lcs"] = array_of(std::move(lcs), {pairs});
    arrays["matches"] = array_of(std::move(matches), {pairs, kOrders});
    arrays["reference_length"] = array_of(std::move(other), {pairs});
    arrays["reference_length_lcs"] = array_of(std::move(other_lcs), {pairs});
    return arrays;
}

nb::object id_subsequences(Integers ids, SmallIntegers packed, Offsets offsets, Integers other_ids,
                           SmallIntegers other_packed, Offsets other_offsets, Offsets rows, const char* name, int threads) {
    const Machine& machine = machine_of(name);
    check_threads(threads);
    Records records = records_of(whole_texts_of(ids, offsets), whole_texts_of(other_ids, other_offsets), rows);
    records.said = small_of(packed, ids);
    records.wanted = small_of(other_packed, other_ids);
    const std::size_t pairs = records.pairs();
    Column<std::int32_t> lengths(pairs);
    {
        const Released released;
        for_groups(records, machine, threads, Measuring{records.rows, lengths.data()});
    }
    return array_of(std::move(lengths), {pairs});
}

// Texts as numbers: see m4i::Numbering.
class PythonNumbering {
public:
    PythonNumbering(int tokeniser, nb::callable encode, const char* name)
        : encode_(encode), numbering_(tokeniser_of(tokeniser), machine_of(name)) {}

    nb::tuple ids(nb::object given) {
        const Rows texts(given);
        const Way way{numbering_.tokeniser(), encode_};
        std::vector<Id> ids;
        std::vector<std::int64_t> offsets{0};
        Batch batch;
        for (std::size_t text = 0; text < texts.size();) {
            batch.clear();
            for (; text < texts.size() && !batch.full(); ++text) {
                texts.ask_for_text(text + kAhead);
                gather_text(texts[text], way, batch);
            }
            {
                const Released released;
                numbering_.add(batch.texts(), batch.count(), ids, offsets);
            }
            if (PyErr_CheckSignals() != 0) throw nb::python_error();
        }
        const std::size_t tokens = ids.size(), count = offsets.size();
        return nb::make_tuple(array_of(std::move(ids), {tokens}), array_of(std::move(offsets), {count}));
    }

    std::size_t size() const { return numbering_.size(); }

private:
    nb::callable encode_;
    Numbering numbering_;
};

// Keeps the arrays that it searches.
class PythonCandidates {
public:
    PythonCandidates(Integers ids, Offsets offsets, std::int64_t vocabulary)
        : ids_(ids), offsets_(offsets),
          candidates_(texts_of(ids, offsets), static_cast<std::size_t>(std::max<std::int64_t>(vocabulary, 0))) {
        check(candidates_.texts());
        if (candidates_.texts().count > std::numeric_limits<std::uint32_t>::max()) throw nb::value_error("too many candidates");
    }

    // Scores float64 [N, most] and indices int64 [N, most]; NaN and -1 where there are fewer candidates.
    nb::tuple find(Integers ids, Offsets offsets, int measure, std::int64_t most) const {
        const IdTexts texts = texts_of(ids, offsets);
        check(texts);
        if (most < 0) throw nb::value_error("most is negative");
        const auto width = static_cast<std::size_t>(most);
        std::vector<double> scores(texts.count * width, std::numeric_limits<double>::quiet_NaN());
        std::vector<std::int64_t> found(texts.count * width, -1);
        {
            const Released released;
            Searcher searcher(candidates_, measure_of(measure));
            for (std::size_t i = 0; i < texts.count; ++i) {
                searcher.find(texts.begin(i), texts.length(i), width, scores.data() + i * width, found.data() + i * width);
            }
        }
        return nb::make_tuple(array_of(std::move(scores), {texts.count, width}), array_of(std::move(found), {texts.count, width}));
    }

    // What is counted, int32 [N, M].
    nb::object count(Integers ids, Offsets offsets, int measure) const {
        const IdTexts texts = texts_of(ids, offsets);
        check(texts);
        const std::size_t width = candidates_.texts().count;
        std::vector<std::int32_t> counts(texts.count * width);
        {
            const Released released;
            Searcher searcher(candidates_, measure_of(measure));
            for (std::size_t i = 0; i < texts.count; ++i) {
                searcher.count_all(texts.begin(i), texts.length(i), counts.data() + i * width);
            }
        }
        return array_of(std::move(counts), {texts.count, width});
    }

private:
    static Measure measure_of(int number) { return number == 0 ? Measure::unigrams : Measure::subsequence; }

    void check(const IdTexts& texts) const {
        const auto end = static_cast<std::size_t>(texts.offsets[texts.count]);
        for (std::size_t i = 0; i < end; ++i) {
            if (texts.ids[i] < 0 || static_cast<std::size_t>(texts.ids[i]) >= candidates_.vocabulary()) {
                throw nb::value_error("an id is out of range");
            }
        }
    }

    Integers ids_;
    Offsets offsets_;
    Candidates candidates_;
};

}  // namespace

void bind_ids(nb::module_& m) {
    m.def("id_statistics", &id_statistics);
    m.def("id_subsequences", &id_subsequences);
    nb::class_<PythonNumbering>(m, "Numbering")
        .def(nb::init<int, nb::callable, const char*>(), nb::arg("tokeniser"), nb::arg("encode"), nb::arg("machine"))
        .def("ids", &PythonNumbering::ids, nb::arg("texts"))
        .def("__len__", &PythonNumbering::size);
    nb::class_<PythonCandidates>(m, "Candidates")
        .def(nb::init<Integers, Offsets, std::int64_t>(), nb::arg("ids"), nb::arg("offsets"), nb::arg("vocabulary"))
        .def("find", &PythonCandidates::find, nb::arg("ids"), nb::arg("offsets"), nb::arg("measure"), nb::arg("most"))
        .def("count", &PythonCandidates::count, nb::arg("ids"), nb::arg("offsets"), nb::arg("measure"));
}

}  // namespace m4i::python
