// Numbers of 16 bits, compared a pair a lane; included after machine_common.inl. What stands at one place of the
// hypotheses is compared with what stands at one place of the references in all lanes at once, so no loop asks how long a
// text is; pairs of like lengths wait for each other until they fill a vector.
//
// `Ops`, one a machine: `many` lanes; `Lanes`, their vector; `low(a, b)` and `high(a, b)`, the words of the first and of
// the second half of each 16 bytes of a and of b in turn; `rows`, `below`, `four`, `bits`, `add`, as PlainOps has them.

constexpr size_t kTurned = 8;  // rows and columns that change places at once: the words of 16 bytes

struct Bits {
    alignas(64) Small of[kNarrow][32];
};
constexpr Bits bits_of_places() {
    Bits bits{};
    for (uint32_t place = 0; place < kNarrow; ++place) {
        for (Small& bit : bits.of[place]) bit = static_cast<Small>(1u << place);
    }
    return bits;
}
constexpr Bits kBits = bits_of_places();

// Pairs that wait, by where their texts begin.
constexpr size_t kTaken = 8;  // pairs of one hypothesis that are taken at once
constexpr uint32_t kMiddling = 12;  // tokens of a reference: up to so many, and more, wait apart

template <size_t Many>
struct Waiting {
    alignas(64) Small said_length[Many + kTaken];
    alignas(64) Small wanted_length[Many + kTaken];
    uint32_t said[Many + kTaken], wanted[Many + kTaken], pair[Many + kTaken], record[Many + kTaken];
    size_t count;

    // Entries from `from` on, of which the first kTaken matter, are put behind those of `to`.
    void move(size_t from, size_t some, Waiting& to) const {
        const auto copy = [&](auto* target, const auto* source) {
            std::memcpy(target + to.count, source + from, kTaken * sizeof *target);
        };
        copy(to.said_length, said_length);
        copy(to.wanted_length, wanted_length);
        copy(to.said, said);
        copy(to.wanted, wanted);
        copy(to.pair, pair);
        copy(to.record, record);
        to.count += some;
    }
};

// References of one record, from the first of `count` <= kTaken on.
struct Taken {
    const int64_t* offsets;  // where they begin, and where the last ends
    size_t count;
    int64_t base;
    uint32_t said, said_length, pair, record;
};

template <size_t Bytes, typename Word>
struct VectorOf {
    typedef Word type __attribute__((vector_size(Bytes)));
};

// What needs no instruction of its own. A hypothesis of more than kNarrow tokens has several `Parts`, a word each.
template <typename Ops, size_t Bytes>
struct PlainOps {
    static constexpr size_t many = Bytes / sizeof(Small);
    using Lanes = typename VectorOf<Bytes, Small>::type;


    // Puts pairs to those of row[0] that wait, and to those of row[1] where the reference has more than kMiddling tokens.
    static void take(const Taken& taken, Waiting<many>* row) {
        for (size_t i = 0; i < taken.count; ++i) {
            const auto length = static_cast<uint32_t>(taken.offsets[i + 1] - taken.offsets[i]);
            Waiting<many>& waiting = row[length > kMiddling];
            const size_t at = waiting.count++;
            waiting.said_length[at] = static_cast<Small>(taken.said_length);
            waiting.wanted_length[at] = static_cast<Small>(length);
            waiting.said[at] = taken.said;
            waiting.wanted[at] = static_cast<uint32_t>(taken.offsets[i] - taken.base);
            waiting.pair[at] = taken.pair + static_cast<uint32_t>(i);
            waiting.record[at] = taken.record;
        }
    }

    // As many low bits as each lane says, at most 16, after `before` have been taken off.
    static Lanes below(const Small* lengths, uint32_t before) {
        alignas(64) Small bits[many];
        for (size_t lane = 0; lane < many; ++lane) {
            const uint32_t left = lengths[lane] > before ? lengths[lane] - before : 0;
            bits[lane] = static_cast<Small>((1u << std::min(left, kNarrow)) - 1);
        }
        Lanes found;
        std::memcpy(&found, bits, sizeof found);
        return found;
    }

    // The bits of `most` places of the hypotheses, of those in `valid`, that equal each of four reference tokens of which
    // the first is number `at` of `ends`.
    static void four(const Lanes* said, uint32_t most, Lanes valid, const Lanes* wanted, Lanes ends, uint32_t at,
                     Lanes* hit) {
        Lanes found[4] = {};
        for (uint32_t i = 0; i < most; ++i) {
            Lanes bit;
            std::memcpy(&bit, kBits.of[i], sizeof bit);
            for (int k = 0; k < 4; ++k) found[k] |= reinterpret_cast<Lanes>(said[i] == wanted[k]) & bit;
        }
        for (uint32_t k = 0; k < 4; ++k) {
            hit[k] = found[k] & valid & reinterpret_cast<Lanes>(ends > Lanes{} + static_cast<Small>(at + k));
        }
    }

    // How many bits are set, word by word.
    template <typename Vector>
    static Vector bits(Vector words) {
        using Word = std::remove_reference_t<decltype(words[0])>;
        alignas(64) Word each[sizeof words / sizeof(Word)];
        std::memcpy(each, &words, sizeof words);
        for (Word& word : each) word = static_cast<Word>(std::popcount(word));
        std::memcpy(&words, each, sizeof words);
        return words;
    }

    // Four words of 16 bits, one an order: what a pair took is added to its record and counted.
    static void add(uint64_t four, Used& taken, Counts& matches) {
        for (int n = 0; n < kOrders; ++n) {
            const auto word = static_cast<Small>(four >> (16 * n));
            taken.of[n] |= word;
            matches.of[n] = std::popcount(word);
        }
    }
};

template <int Parts>
using PartsOf = std::conditional_t<Parts == 1, uint16_t, std::conditional_t<Parts == 2, uint32_t, uint64_t>>;

template <typename Ops, int Parts, bool Ngrams>
struct Lanewise {
    using Lanes = typename Ops::Lanes;
    using Word = PartsOf<Parts>;
    static constexpr size_t many = Ops::many, words = many / Parts;
    using Words = typename VectorOf<sizeof(Lanes), Word>::type;
    using Wide = typename VectorOf<sizeof(Lanes), uint32_t>::type;

    // Compares the first pairs that wait, as many as there are lanes.
    static void compare(Waiting<many>& waiting, const SmallRecords& records, const SmallResults& results) {
        const size_t count = std::min(waiting.count, many);
        for (size_t lane = count; lane < many; ++lane) {
            waiting.said[lane] = waiting.wanted[lane] = 0;
            waiting.said_length[lane] = waiting.wanted_length[lane] = 0;
        }
        Small most = 0, longest = 0;
        for (size_t lane = 0; lane < many; ++lane) {
            most = std::max(most, waiting.said_length[lane]);
            longest = std::max(longest, waiting.wanted_length[lane]);
        }
        alignas(64) Lanes said[kNarrow * Parts], wanted[kNarrow];
        for (size_t from = 0; from < most; from += kTurned) turn(records.hypotheses.tokens + from, waiting.said, said + from);
        Lanes valid[Parts], ends;
        for (uint32_t part = 0; part < Parts; ++part) valid[part] = Ops::below(waiting.said_length, kNarrow * part);
        std::memcpy(&ends, waiting.wanted_length, sizeof ends);

        Course<Word, words, Ngrams> courses[Parts];
        for (uint32_t at = 0; at < longest; at += kNarrow) {
            if (at > 0) go_on(waiting, at);
            const uint32_t here = std::min<uint32_t>(kNarrow, longest - at);
            for (size_t from = 0; from < here; from += kTurned) turn(records.references.tokens + from, waiting.wanted, wanted + from);
            for (uint32_t j = 0; j < here; j += 4) {
                Lanes hit[Parts][4];
                for (uint32_t part = 0; part < Parts; ++part) {
                    const uint32_t before = kNarrow * part, places = most > before ? most - before : 0;
                    Ops::four(said + before, std::min(places, kNarrow), valid[part], wanted + j, ends, at + j, hit[part]);
                }
                for (int k = 0; k < 4; ++k) {
                    if constexpr (Parts == 1) {
                        courses[0].step(hit[0][k]);
                    } else {
                        const Wide low = (Wide)Ops::low(hit[0][k], hit[1][k]), high = (Wide)Ops::high(hit[0][k], hit[1][k]);
                        if constexpr (Parts == 2) {
                            courses[0].step(low);
                            courses[1].step(high);
                        } else {
                            const Wide low2 = (Wide)Ops::low(hit[2][k], hit[3][k]), high2 = (Wide)Ops::high(hit[2][k], hit[3][k]);
                            courses[0].step((Words)Ops::low(low, low2));
                            courses[1].step((Words)Ops::high(low, low2));
                            courses[2].step((Words)Ops::low(high, high2));
                            courses[3].step((Words)Ops::high(high, high2));
                        }
                    }
                }
            }
        }
        write(courses, waiting, count, results);
        const size_t left = waiting.count - count;
        waiting.count = 0;
        if (left > 0) waiting.move(many, left, waiting);
    }

private:
    // Where a lane's word stands once words of `Many` lanes' 16 bytes were put side by side.
    static constexpr size_t place(size_t lane, size_t parts) {
        const size_t together = kTurned / parts, inside = lane % kTurned;
        return inside / together * (many / parts) + lane / kTurned * together + inside % together;
    }

    // out[i] gets token i of every text.
    static void turn(const Small* tokens, const uint32_t* texts, Lanes* out) {
        std::atomic_signal_fence(std::memory_order_seq_cst);  // else addresses are kept in registers that are needed
        Lanes parts[kTurned], next[kTurned];
        for (size_t i = 0; i < kTurned; ++i) parts[i] = Ops::rows(tokens, texts + i);
        // Each round rotates the bits of (row, column) by one place.
        for (int round = 0; round < 3; ++round) {
            for (size_t i = 0; i < kTurned / 2; ++i) {
                next[2 * i] = Ops::low(parts[i], parts[i + kTurned / 2]);
                next[2 * i + 1] = Ops::high(parts[i], parts[i + kTurned / 2]);
            }
            std::copy_n(next, kTurned, parts);
        }
        std::copy_n(parts, kTurned, out);
    }

    // To the next tokens of the references; texts that have ended stay where they end.
    static void go_on(Waiting<many>& waiting, uint32_t at) {
        for (size_t lane = 0; lane < many; ++lane) {
            const uint32_t length = waiting.wanted_length[lane], before = at - kNarrow;
            waiting.wanted[lane] += std::min(kNarrow, length > before ? length - before : 0);
        }
    }

    static void write(const Course<Word, words, Ngrams>* courses, const Waiting<many>& waiting, size_t count,
                      const SmallResults& results) {
        alignas(64) Word common[many];
        for (size_t c = 0; c < Parts; ++c) {
            const Words found = Ops::bits(~courses[c].open);
            std::memcpy(common + c * words, &found, sizeof found);
        }
        const auto for_each = [&](auto work) {
            if (count == many) [[likely]] {
#pragma GCC unroll 32
                for (size_t lane = 0; lane < many; ++lane) work(lane);
            } else {
                for (size_t lane = 0; lane < count; ++lane) work(lane);
            }
        };
        for_each([&](size_t lane) {
            results.subsequence[waiting.pair[lane]] = static_cast<int32_t>(common[place(lane, Parts)]);
        });
        if constexpr (Ngrams && Parts == 1) {
            const Course<Word, words, Ngrams>& course = courses[0];
            const Wide low = (Wide)Ops::low(course.used1, course.used2), high = (Wide)Ops::high(course.used1, course.used2);
            const Wide low2 = (Wide)Ops::low(course.used3, course.used4), high2 = (Wide)Ops::high(course.used3, course.used4);
            const Wide sets[4] = {Ops::low(low, low2), Ops::high(low, low2), Ops::low(high, high2), Ops::high(high, high2)};
            alignas(64) uint64_t taken[many];
            std::memcpy(taken, sets, sizeof taken);
            for_each([&](size_t lane) {
                Ops::add(taken[place(lane, 4)], results.taken[waiting.record[lane]], results.matches[waiting.pair[lane]]);
            });
        } else if constexpr (Ngrams) {
            alignas(64) Word taken[kOrders][many];
            for (size_t c = 0; c < Parts; ++c) {
                const Words sets[kOrders] = {courses[c].used1, courses[c].used2, courses[c].used3, courses[c].used4};
                for (int n = 0; n < kOrders; ++n) std::memcpy(taken[n] + c * words, sets + n, sizeof sets[n]);
            }
            for (size_t lane = 0; lane < count; ++lane) {
                for (int n = 0; n < kOrders; ++n) {
                    const Word word = taken[n][place(lane, Parts)];
                    results.taken[waiting.record[lane]].of[n] |= word;
                    results.matches[waiting.pair[lane]].of[n] = std::popcount(word);
                }
            }
        }
    }
};

// Pairs wait by how many tokens their hypothesis has (up to each of these), and by their reference.
constexpr uint32_t kSaid[] = {8, 10, 12, 14, 16, 24, 32, 64};
constexpr size_t kRows = std::size(kSaid), kWanted = 2;
constexpr size_t kParted[] = {0, 5, 7, kRows};  // the first of kSaid with 1, 2 and 4 parts, and the end

struct Kinds {
    uint8_t of[kShort + 1];
};
constexpr Kinds kinds_of_lengths() {
    Kinds kinds{};
    for (uint32_t length = 0; length <= kShort; ++length) {
        while (kSaid[kinds.of[length]] < length) ++kinds.of[length];
    }
    return kinds;
}
constexpr Kinds kKindOf = kinds_of_lengths();

template <typename Ops, bool Ngrams>
void compare_records(const SmallRecords& records, const SmallResults& results) {
    using Lot = Waiting<Ops::many>;
    Lot lots[kRows][kWanted];
    for (auto& row : lots) {
        for (Lot& lot : row) lot.count = 0;
    }
    // Compares those of a row that fill a vector, or all.
    const auto serve = [&]<int Parts>(Lot* row, size_t least) {
        for (size_t i = 0; i < kWanted; ++i) {
            if (row[i].count >= least) Lanewise<Ops, Parts, Ngrams>::compare(row[i], records, results);
        }
    };
    const int64_t first = records.rows[0];
    for (size_t record = 0; record < records.count; ++record) {
        if (records.left_out != nullptr && records.left_out[record]) continue;
        const auto number = static_cast<int64_t>(record);
        const uint32_t length = records.hypotheses.length(number);
        const auto said = static_cast<uint32_t>(records.hypotheses.offsets[record] - records.hypotheses.base);
        Lot* const row = lots[kKindOf.of[length]];
        const int64_t end = records.rows[record + 1];
        for (int64_t i = records.rows[record]; i < end; i += kTaken) {
            const size_t some = std::min(kTaken, static_cast<size_t>(end - i));
            const auto begin = reinterpret_cast<uintptr_t>(records.references.begin(i));
            __builtin_prefetch(reinterpret_cast<const void*>(begin + 1024));
            __builtin_prefetch(reinterpret_cast<const void*>(begin + 1024 + 64));
            Ops::take({records.references.offsets + i, some, records.references.base, said, length,
                       static_cast<uint32_t>(i - first), static_cast<uint32_t>(record)}, row);
            if (std::max(row[0].count, row[1].count) < Ops::many) [[likely]] continue;
            if (length <= kNarrow) {
                serve.template operator()<1>(row, Ops::many);
            } else if (length <= 2 * kNarrow) {
                serve.template operator()<2>(row, Ops::many);
            } else {
                serve.template operator()<4>(row, Ops::many);
            }
        }
    }
    // Those that are left go together, by parts.
    const auto drain = [&]<int Parts>(size_t from, size_t to) {
        Lot& pool = lots[from][0];
        for (size_t lot = from * kWanted + 1; lot < to * kWanted; ++lot) {
            const Lot& rest = lots[lot / kWanted][lot % kWanted];
            for (size_t i = 0; i < rest.count; i += kTaken) {
                rest.move(i, std::min(kTaken, rest.count - i), pool);
                if (pool.count >= Ops::many) Lanewise<Ops, Parts, Ngrams>::compare(pool, records, results);
            }
        }
        if (pool.count > 0) Lanewise<Ops, Parts, Ngrams>::compare(pool, records, results);
    };
    drain.template operator()<1>(kParted[0], kParted[1]);
    drain.template operator()<2>(kParted[1], kParted[2]);
    drain.template operator()<4>(kParted[2], kParted[3]);
}
