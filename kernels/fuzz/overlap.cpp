// Fuzzes the overlap core against a slow, obvious truth, on every instruction set that runs here.
//
// With Clang: -fsanitize=fuzzer,address,undefined, and libFuzzer drives it. With any compiler: -DM4I_FUZZ_ALONE and
// -fsanitize=address,undefined, and main() below drives it: `overlap EXECUTIONS SEED [FILE ...]`; files are run first.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../src/overlap.hpp"
#include "../src/small.hpp"

namespace {

using Tokens = std::vector<std::string>;

struct Truth {
    std::int32_t length, length_lcs, closest;
    std::int32_t best[m4i::kOrders];
    std::vector<std::int32_t> lcs, other_length, other_length_lcs;
    std::vector<m4i::Counts> matches;
};

bool is_word(unsigned char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_space(unsigned char c) {
    return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F) || c == 0x85 || c == 0xA0;
}

// Of Latin-1, which is what the core is told here: letters, digits and fractions beyond ASCII, and lower case.
bool is_letter(unsigned char c) {
    return is_word(c) || (c >= 0xC0 && c != 0xD7 && c != 0xF7) || c == 0xAA || c == 0xB2 || c == 0xB3 || c == 0xB5 || c == 0xB9 ||
           c == 0xBA || (c >= 0xBC && c <= 0xBE);
}
unsigned char lower(unsigned char c) {
    const bool upper = (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE && c != 0xD7);
    return static_cast<unsigned char>(upper ? c + 32 : c);
}
m4i::unicode::Characters latin() {
    return {[](char32_t c) { return c < 0x100 ? char32_t{lower(static_cast<unsigned char>(c))} : c; },
            [](char32_t c) { return c < 0x100 && is_letter(static_cast<unsigned char>(c)); },
            [](char32_t c) { return c < 0x100 && is_space(static_cast<unsigned char>(c)); }};
}

Tokens split_at_spaces(std::string_view text) {
    Tokens tokens(1);
    for (const char c : text) {
        if (c == ' ') {
            tokens.emplace_back();
        } else {
            tokens.back() += c;
        }
    }
    return tokens;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_point(char c) { return c == '.' || c == ','; }

// mteval's substitutions, one after the other over the whole text, as its regular expressions do them.
std::string parted_13a(std::string_view text) {
    std::string signs = " ";
    for (const char c : text) {
        const bool stays = is_word(c) || is_point(c) || c == '-' || c == '\'' || c < ' ' || c == 0x7F;
        signs += stays ? std::string(1, c) : std::string{' ', c, ' '};
    }
    signs += ' ';
    std::string after;
    for (std::size_t i = 0; i < signs.size(); ++i) {
        after += signs[i];
        if (!is_digit(signs[i]) && i + 1 < signs.size() && is_point(signs[i + 1])) {
            after += {' ', signs[++i], ' '};
        }
    }
    std::string before;
    for (std::size_t i = 0; i < after.size(); ++i) {
        if (is_point(after[i]) && i + 1 < after.size() && !is_digit(after[i + 1])) {
            before += {' ', after[i], ' ', after[i + 1]};
            ++i;
        } else {
            before += after[i];
        }
    }
    std::string dashes;
    for (std::size_t i = 0; i < before.size(); ++i) {
        const bool parted = before[i] == '-' && i > 0 && is_digit(before[i - 1]);
        dashes += parted ? " - " : std::string(1, before[i]);
    }
    return dashes;
}

Tokens tokens_of(std::string_view given, m4i::Tokeniser tokeniser) {
    const bool parted = tokeniser == m4i::Tokeniser::mteval_13a;
    const std::string whole = parted ? parted_13a(given) : std::string(given);
    const std::string_view text = whole;
    Tokens tokens;
    std::string token;
    const bool words = tokeniser == m4i::Tokeniser::words || tokeniser == m4i::Tokeniser::rouge_score;
    const auto is_part = [&](char at) { return tokeniser == m4i::Tokeniser::words ? is_letter(at) : is_word(at); };
    for (std::size_t i = 0; i <= text.size(); ++i) {
        const auto c = static_cast<unsigned char>(i < text.size() ? text[i] : ' ');
        bool inside;
        if (words) {
            const bool between = i > 0 && i + 1 < text.size() && is_part(text[i - 1]) && is_part(text[i + 1]);
            inside = is_part(c) || (tokeniser == m4i::Tokeniser::words && c == '\'' && between);
        } else {
            inside = i < text.size() && !is_space(c);
        }
        if (i < text.size() && inside) {
            token += static_cast<char>(words ? lower(c) : c);
        } else if (!token.empty()) {
            tokens.push_back(token);
            token.clear();
        }
    }
    return tokens;
}

std::int32_t lcs_of(const Tokens& a, const Tokens& b) {
    std::vector<std::int32_t> row(b.size() + 1, 0);
    for (const std::string& x : a) {
        std::int32_t diagonal = 0;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::int32_t above = row[j + 1];
            row[j + 1] = x == b[j] ? diagonal + 1 : std::max(row[j + 1], row[j]);
            diagonal = above;
        }
    }
    return row[b.size()];
}

using Ngrams = std::map<Tokens, std::int32_t>;

Ngrams ngrams_of(const Tokens& tokens, std::size_t n) {
    Ngrams counts;
    for (std::size_t i = 0; i + n <= tokens.size(); ++i) ++counts[Tokens(tokens.begin() + i, tokens.begin() + i + n)];
    return counts;
}

Truth truth_of(const std::vector<std::string>& texts, m4i::Tokeniser tokeniser) {
    const auto steps = [&](const std::string& text) {
        return tokeniser == m4i::Tokeniser::coco_space ? split_at_spaces(text) : tokens_of(text, tokeniser);
    };
    Truth truth{};
    const Tokens hypothesis = tokens_of(texts[0], tokeniser), hypothesis_steps = steps(texts[0]);
    truth.length = static_cast<std::int32_t>(hypothesis.size());
    truth.length_lcs = static_cast<std::int32_t>(hypothesis_steps.size());
    Ngrams best[m4i::kOrders];
    for (std::size_t i = 1; i < texts.size(); ++i) {
        const Tokens reference = tokens_of(texts[i], tokeniser), reference_steps = steps(texts[i]);
        const auto length = static_cast<std::int32_t>(reference.size());
        truth.other_length.push_back(length);
        truth.other_length_lcs.push_back(static_cast<std::int32_t>(reference_steps.size()));
        truth.lcs.push_back(lcs_of(hypothesis_steps, reference_steps));
        const std::int32_t distance = std::abs(length - truth.length), before = std::abs(truth.closest - truth.length);
        if (i == 1 || distance < before || (distance == before && length < truth.closest)) truth.closest = length;
        m4i::Counts matches{};
        for (int n = 0; n < m4i::kOrders; ++n) {
            const Ngrams mine = ngrams_of(hypothesis, n + 1), other = ngrams_of(reference, n + 1);
            for (const auto& [ngram, count] : mine) {
                const auto found = other.find(ngram);
                if (found == other.end()) continue;
                const std::int32_t shared = std::min(count, found->second);
                matches.of[n] += shared;
                best[n][ngram] = std::max(best[n][ngram], shared);
            }
        }
        truth.matches.push_back(matches);
    }
    for (int n = 0; n < m4i::kOrders; ++n) {
        for (const auto& [ngram, count] : best[n]) truth.best[n] += count;
    }
    return truth;
}

void require(bool holds, const char* what, const char* machine) {
    if (holds) return;
    std::fprintf(stderr, "%s differs on %s\n", what, machine);
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // First byte: tokeniser, and how texts lie in memory: as ASCII, or with 1, 2 or 4 bytes a character. Then texts, each
    // ended by byte 255; 254 ends a record. Others are characters of Latin-1; of ASCII, where their high bits fall.
    if (size < 2) return 0;
    static const bool told = (m4i::unicode::set_characters(latin()), true);
    static_cast<void>(told);
    const std::uint8_t width = std::array<std::uint8_t, 4>{0, 1, 2, 4}[data[0] / 5 % 4];
    const auto tokeniser = static_cast<m4i::Tokeniser>(data[0] % 5);
    std::vector<std::vector<std::string>> records(1, std::vector<std::string>(1));
    for (std::size_t i = 1; i < size; ++i) {
        if (data[i] == 254) {
            records.emplace_back(1);
        } else if (data[i] == 255) {
            records.back().emplace_back();
        } else {
            records.back().back() += static_cast<char>(width == 0 ? data[i] & 0x7F : data[i]);
        }
    }
    // Each text in memory of its own, exactly as long as it is, so that a read beyond it is seen.
    std::vector<std::unique_ptr<char[]>> memory;
    std::vector<m4i::Text> texts;
    std::vector<std::uint32_t> sizes;
    std::size_t pairs = 0;
    for (const auto& record : records) {
        for (const std::string& text : record) {
            const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
            const std::size_t unit = ascii ? 1 : width;
            memory.push_back(std::make_unique<char[]>(unit * text.size()));
            for (std::size_t i = 0; i < text.size(); ++i) {
                const auto c = static_cast<unsigned char>(text[i]);
                const auto two = static_cast<char16_t>(c);
                const auto four = static_cast<char32_t>(c);
                const void* const from = unit == 1 ? static_cast<const void*>(&c) : unit == 2 ? static_cast<const void*>(&two) : &four;
                std::memcpy(memory.back().get() + unit * i, from, unit);
            }
            texts.push_back({memory.back().get(), text.size(), false, ascii ? std::uint8_t{0} : width});
        }
        sizes.push_back(static_cast<std::uint32_t>(record.size()));
        pairs += record.size() - 1;
    }
    std::vector<Truth> truths;
    for (const auto& record : records) truths.push_back(truth_of(record, tokeniser));

    // The same again with hypotheses and references apart, for Prepared.
    std::vector<m4i::Text> hypotheses, others;
    std::vector<std::uint32_t> other_sizes;
    const m4i::Text* next = texts.data();
    for (const std::uint32_t size : sizes) {
        hypotheses.push_back(next[0]);
        others.insert(others.end(), next + 1, next + size);
        other_sizes.push_back(size - 1);
        next += size;
    }
    // And as numbers, of 32 bits and of 16.
    std::map<std::string, m4i::Id> numbers;
    std::vector<m4i::Id> ids;
    ids.reserve(1);  // no token at all: still a place
    std::vector<std::size_t> lengths;
    for (const auto& record : records) {
        for (const std::string& text : record) {
            const Tokens tokens = tokens_of(text, tokeniser);
            for (const std::string& token : tokens) {
                ids.push_back(numbers.emplace(token, static_cast<m4i::Id>(numbers.size())).first->second);
            }
            lengths.push_back(tokens.size());
        }
    }
    std::vector<m4i::TokensOf<m4i::Id>> id_texts;
    std::size_t next_id = 0;
    for (const std::size_t length : lengths) {
        id_texts.push_back({ids.data() + next_id, static_cast<std::uint32_t>(length), true});
        next_id += length;
    }
    // Hypotheses and references apart, each with what may be read beyond its end.
    std::vector<m4i::Small> said, wanted;
    std::vector<std::int64_t> said_offsets{0}, wanted_offsets{0}, rows{0};
    const m4i::Id* next_token = ids.data();
    std::size_t text = 0;
    for (const auto& record : records) {
        for (std::size_t i = 0; i < record.size(); ++i) {
            std::vector<m4i::Small>& to = i == 0 ? said : wanted;
            to.insert(to.end(), next_token, next_token + lengths[text]);
            (i == 0 ? said_offsets : wanted_offsets).push_back(static_cast<std::int64_t>(to.size()));
            next_token += lengths[text++];
        }
        rows.push_back(static_cast<std::int64_t>(wanted_offsets.size() - 1));
    }
    for (std::vector<m4i::Small>* const each : {&said, &wanted}) {
        each->resize(each->size() + m4i::kShort);
        each->shrink_to_fit();
    }
    const m4i::SmallRecords small{{said.data(), said_offsets.data(), 0}, {wanted.data(), wanted_offsets.data(), 0},
                                  rows.data(), records.size(), nullptr};

    for (const char* const name :
         {"baseline", "avx2", "avx512", "baseline prepared", "avx2 prepared", "avx512 prepared", "baseline ids", "avx2 ids",
          "avx512 ids", "baseline small ids", "avx2 small ids", "avx512 small ids"}) {
        const std::string_view said = name, way = said.substr(std::min(said.find(' '), said.size()));
        const m4i::Machine* const machine = m4i::machine_named(std::string(said.substr(0, said.find(' '))).c_str());
        if (machine == nullptr) continue;
        const bool numbered = way.ends_with(" ids");
        if (numbered && tokeniser == m4i::Tokeniser::coco_space) continue;  // numbers have one tokenisation only
        std::vector<std::int32_t> length(records.size()), length_lcs(records.size()), closest(records.size());
        std::vector<m4i::Counts> best(records.size()), matches(pairs);
        std::vector<std::int32_t> lcs(pairs), other(pairs), other_lcs(pairs);
        // Kept from input to input, as in a long run: what one leaves behind must not reach the next.
        static std::map<std::pair<const m4i::Machine*, m4i::Tokeniser>, m4i::Comparer> comparers;
        static std::map<const m4i::Machine*, m4i::RecordComparer<m4i::Id>> of_ids;
        static std::map<const m4i::Machine*, m4i::SmallComparer> of_small_ids;
        m4i::Comparer& comparer = comparers.try_emplace({machine, tokeniser}, tokeniser, *machine).first->second;
        const m4i::Columns columns{length.data(), length_lcs.data(), best.data(),  closest.data(),
                                   lcs.data(),    matches.data(),    other.data(), other_lcs.data()};
        std::vector<std::int32_t> alone(pairs);
        if (way.empty()) {
            comparer.compare(texts.data(), sizes.data(), sizes.size(), columns);
        } else if (way == " ids") {
            auto& numbering = of_ids.try_emplace(machine, *machine).first->second;
            numbering.compare(id_texts.data(), sizes.data(), sizes.size(), columns);
            numbering.subsequences(id_texts.data(), sizes.data(), sizes.size(), alone.data());
            require(alone == lcs, "subsequences", name);
        } else if (numbered) {
            auto& numbering = of_small_ids.try_emplace(machine, *machine).first->second;
            numbering.compare(small, columns);
            numbering.subsequences(small, alone.data());
            require(alone == lcs, "subsequences", name);
        } else {
            m4i::Prepared prepared(tokeniser, *machine);
            prepared.add(others.data(), other_sizes.data(), other_sizes.size());
            prepared.finish();
            comparer.compare(hypotheses.data(), hypotheses.size(), prepared, 0, columns);
        }
        std::size_t pair = 0;
        for (std::size_t i = 0; i < records.size(); ++i) {
            const Truth& truth = truths[i];
            require(length[i] == truth.length, "hypothesis_length", name);
            require(length_lcs[i] == truth.length_lcs, "hypothesis_length_lcs", name);
            require(closest[i] == truth.closest, "closest_length", name);
            require(std::equal(truth.best, truth.best + m4i::kOrders, best[i].of), "best_matches", name);
            for (std::size_t j = 0; j < truth.lcs.size(); ++j, ++pair) {
                require(lcs[pair] == truth.lcs[j], "lcs", name);
                require(other[pair] == truth.other_length[j], "reference_length", name);
                require(other_lcs[pair] == truth.other_length_lcs[j], "reference_length_lcs", name);
                require(std::equal(truth.matches[j].of, truth.matches[j].of + m4i::kOrders, matches[pair].of), "matches",
                        name);
            }
        }
    }
    return 0;
}

#ifdef M4I_FUZZ_ALONE
#include <fstream>
#include <iterator>
#include <random>

using namespace std::string_view_literals;

int main(int count, char** arguments) {
    for (int i = 3; i < count; ++i) {
        std::ifstream file(arguments[i], std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    const long executions = count > 1 ? std::atol(arguments[1]) : 100'000;
    std::mt19937_64 dice(count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 0);
    const auto below = [&](std::uint64_t bound) { return dice() % bound; };
    const std::string_view pieces[] = {"a",  "b",    "A",   "dog", "abcdefg", "abcdefgh", "abcdefghi", "skateboarding",
                                       " ",  " ",    " ",   "  ",  "\t",      "'",        "don't",     "\x1c",
                                       "9",  "\x7f", "\xff", "\xff", "\xfe",  "-",        ".",         "the",
                                       ",",  "3.5",  "4-",  "..5", "1,",      "(",        "\0"sv,     "dogs",
                                       "\xe9", "\xc9t\xe9s", "\xa0", "\x85", "\xb2.5", "\xdf'\xd6", "na\xefvet\xe9", "\xd7"};
    std::vector<std::uint8_t> input;
    for (long execution = 0; execution < executions; ++execution) {
        input.assign(1, static_cast<std::uint8_t>(below(20)));
        const std::uint64_t rare = below(4) == 0 ? 1 + below(200) : 1;  // ends of texts: else few have a hundred tokens
        const std::uint64_t kinds = 1 + below(std::size(pieces));
        const std::uint64_t length = below(below(rare == 1 ? 40 : 4) == 0 ? 6000 : below(5) == 0 ? 900 : 120);
        while (input.size() < length + 2) {
            if (below(40) == 0) {
                input.push_back(static_cast<std::uint8_t>(below(256)));
            } else {
                const std::string_view piece = pieces[(below(kinds) + execution) % std::size(pieces)];
                if ((piece == "\xff" || piece == "\xfe") && below(rare) != 0) continue;
                input.insert(input.end(), piece.begin(), piece.end());
                if (below(3) != 0) input.push_back(' ');
            }
        }
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::printf("%ld executions agree\n", executions);
}
#endif
