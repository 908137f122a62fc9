// Fuzzes the PTB tokeniser, by what must hold of it whatever it makes of a text, and the counts of sets, against a slow,
// obvious truth.
//
// The PTB tokeniser means what kernels/ptb/truth.py says, and the tests hold it to that. Here one text must become one
// line: by itself or among others, remembered words or none, by the automaton alone or by blocks on every instruction
// set, kept in 8, 16 or 32 bits a unit; and so must a document, in one go or line by line. Driven as overlap.cpp is:
// `ptb EXECUTIONS SEED [FILE ...]` without libFuzzer.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../src/ptb.hpp"
#include "../src/sets.hpp"
#include "../src/tokens.hpp"
#include "../src/unicode.hpp"

namespace {

using Characters = std::u32string;
using Strings = std::vector<std::string>;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s: not so\n", what);
    std::abort();
}

// --- the tables, as build.sh wrote them

template <typename T>
std::vector<T> read_array(std::ifstream& file) {
    std::uint64_t size = 0;
    file.read(reinterpret_cast<char*>(&size), sizeof size);
    std::vector<T> values(file ? size / sizeof(T) : 0);
    file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
    require(static_cast<bool>(file), "the file of tables is whole");
    return values;
}

// As set_ptb_tables in src/module_ptb.cpp, which also checks them.
void set_tables() {
    std::ifstream file(M4I_TABLES, std::ios::binary);
    const auto kinds = read_array<std::uint8_t>(file);
    std::vector<std::int32_t> ints[9];  // free, steps and members (ends, items), accepts, starts, rules
    for (auto& each : ints) each = read_array<std::int32_t>(file);
    const auto texts = read_array<char>(file);  // each ended by a NUL
    const auto lower = read_array<std::uint16_t>(file);
    const auto pairs = read_array<std::uint32_t>(file);
    const auto in_words = read_array<std::uint8_t>(file);
    auto tables = std::make_unique<m4i::ptb::Tables>();
    std::copy(kinds.begin(), kinds.end(), tables->kinds.begin());
    std::copy(lower.begin(), lower.end(), tables->lower.begin());
    std::copy(in_words.begin(), in_words.end(), tables->in_words.begin());
    tables->kinds_alone = tables->kinds;
    tables->kinds_alone['\n'] = tables->kinds[' '];
    for (std::size_t i = 0; i < pairs.size(); i += 2) tables->lower_pairs.emplace_back(pairs[i], pairs[i + 1]);
    tables->kind_count = std::size_t{1} + *std::max_element(kinds.begin(), kinds.end());
    const m4i::ptb::Automaton automaton{ints[6].size(),
                                        ints[4].size(),
                                        tables->kind_count,
                                        {ints[0].data(), ints[1].data()},
                                        {ints[2].data(), ints[3].data()},
                                        {ints[4].data(), ints[5].data()},
                                        ints[6].data()};
    const auto states = m4i::ptb::determined(automaton, ints[7], tables->moves);
    tables->start = states[0];
    const char* text = texts.data();
    for (auto row = ints[8].begin(); row != ints[8].end(); row += 7, text += std::strlen(text) + 1) {
        tables->rules.push_back({static_cast<m4i::ptb::Made>(row[0]), row[1] != 0, row[2] != 0, row[3], row[4],
                                 states[static_cast<std::size_t>(row[5])], states[static_cast<std::size_t>(row[6])], text});
    }
    m4i::ptb::set_tables(std::move(tables));
    const m4i::ptb::PlainWords& plain = m4i::ptb::tables()->plain;
    require(plain.known && plain.full_stop && plain.dot && plain.line_feed, "words of letters are told by the block");
}

// --- texts

bool is_space(char32_t c) {
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool ends_line(char32_t c) { return (c >= 10 && c <= 13) || c == 0x2028 || c == 0x2029; }

Characters characters(std::string_view bytes) {
    Characters text;
    for (std::size_t i = 0; i < bytes.size();) {
        const auto first = static_cast<unsigned char>(bytes[i]);
        const int more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
        require(first < 0x80 || (first >= 0xC2 && first < 0xF5), "a line is UTF-8");
        require(i + static_cast<std::size_t>(more) < bytes.size(), "a line ends with a whole character");
        char32_t c = more == 0 ? first : first & (0x3Fu >> more);
        for (int k = 1; k <= more; ++k) c = c << 6 | (static_cast<unsigned char>(bytes[i + static_cast<std::size_t>(k)]) & 0x3F);
        text += c;
        i += 1 + static_cast<std::size_t>(more);
    }
    return text;
}

std::vector<Characters> split(const Characters& text) {
    std::vector<Characters> words(1);
    for (const char32_t c : text) {
        if (!is_space(c)) {
            words.back() += c;
        } else if (!words.back().empty()) {
            words.emplace_back();
        }
    }
    if (words.back().empty()) words.pop_back();
    return words;
}

// A text in memory of its own, exactly as long as it is, in units of one width.
class Held {
public:
    Held(const Characters& text, int width) : size_(text.size()), width_(width), memory_(new char[text.size() * static_cast<std::size_t>(width)]) {
        for (std::size_t i = 0; i < size_; ++i) std::memcpy(memory_.get() + i * static_cast<std::size_t>(width), &text[i], static_cast<std::size_t>(width));
    }

    m4i::ptb::Units units() const { return {memory_.get(), size_, width_}; }
    m4i::Text text() const { return {memory_.get(), size_, false, static_cast<std::uint8_t>(width_)}; }

private:
    std::size_t size_;
    int width_;
    std::unique_ptr<char[]> memory_;
};

int narrowest(const Characters& text) {
    const char32_t most = text.empty() ? 0 : *std::max_element(text.begin(), text.end());
    return most < 0x100 ? 1 : most < 0x10000 ? 2 : 4;
}

// Bytes as they are; 253 and 254 begin characters of two and of three more bytes; 255 ends a text.
std::vector<Characters> texts_in(const std::uint8_t* data, std::size_t size) {
    std::vector<Characters> texts(1);
    for (std::size_t i = 0; i < size; ++i) {
        if (data[i] == 255) {
            texts.emplace_back();
            continue;
        }
        const std::size_t more = data[i] < 253 ? 0 : std::min<std::size_t>(data[i] - 251u, size - 1 - i);
        char32_t c = more == 0 ? data[i] : 0;
        for (std::size_t k = 0; k < more; ++k) c = c << 8 | data[++i];
        texts.back() += c % 0x110000;
    }
    return texts;
}

// --- the PTB tokeniser

std::string line_of(const m4i::ptb::Rewriter& rewriter, const m4i::ptb::Line& line) {
    const std::string text(rewriter.text() + line.begin, line.end - line.begin);
    const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    require(ascii || !line.ascii, "a line that is called ASCII is ASCII");
    return text;
}

std::string alone(m4i::ptb::Rewriter& rewriter, const Held& text) {
    rewriter.clear();
    return line_of(rewriter, rewriter.alone(text.units()));
}

// The first `wanted` lines of a document, `step` at a time.
Strings lines_of(m4i::ptb::Rewriter& rewriter, const Held& document, std::size_t wanted, std::size_t step) {
    Strings found;
    rewriter.open(document.units());
    std::vector<m4i::ptb::Line> lines;
    for (bool more = true; found.size() < wanted;) {
        require(more, "a document has as many lines as texts");
        lines.clear();
        rewriter.clear();
        const std::size_t most = std::min(step, wanted - found.size());
        more = rewriter.read(lines, most) || lines.size() >= most;
        for (const m4i::ptb::Line& line : lines) found.push_back(line_of(rewriter, line));
    }
    found.resize(wanted);
    return found;
}

void same_lines(const Strings& found, const Strings& expected, const char* what) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (found[i] != expected[i]) std::fprintf(stderr, "'%s' is not '%s'\n", found[i].c_str(), expected[i].c_str());
        require(found[i] == expected[i], what);
    }
}

bool left_out(std::string_view token) {
    static const std::set<std::string_view> removed{"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"};
    return removed.contains(token);
}

void check_line(const std::string& line) {
    for (std::size_t begin = 0; begin <= line.size();) {
        const std::size_t end = std::min(line.find(' ', begin), line.size());
        require(!left_out(std::string_view(line).substr(begin, end - begin)), "no token that is left out stays");
        begin = end + 1;
    }
    for (const char c : line) require((c < 'A' || c > 'Z') && c != '\n', "a line is in lower case, and one line");
}

const std::vector<const m4i::Machine*>& machines() {
    static const std::vector<const m4i::Machine*> found = [] {
        std::vector<const m4i::Machine*> running;
        for (const char* const name : {"baseline", "avx2", "avx512"}) {
            if (const m4i::Machine* const machine = m4i::machine_named(name)) running.push_back(machine);
        }
        return running;
    }();
    return found;
}

std::vector<m4i::ptb::Rewriter> rewriters() {
    std::vector<m4i::ptb::Rewriter> found;
    for (const m4i::Machine* const machine : machines()) found.emplace_back(*machine);
    return found;
}

// Of each machine's stream the tokens are those of the lines: as many, and equal where those are.
void check_streams(const std::vector<m4i::Text>& texts, const Strings& lines) {
    static std::map<const m4i::Machine*, m4i::TokenStream> streams;
    std::vector<std::vector<Characters>> words;
    for (const std::string& line : lines) words.push_back(split(characters(line)));
    for (const m4i::Machine* const machine : machines()) {
        m4i::TokenStream& stream = streams.try_emplace(machine, m4i::Tokeniser::ptb, *machine).first->second;
        stream.fill(texts.data(), texts.size());
        std::map<m4i::Key, Characters> word_of;
        std::map<Characters, m4i::Key> key_of;
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const m4i::Tokens tokens = stream.tokens(i);
            require(tokens.length == words[i].size(), "a stream has as many tokens as its line");
            for (std::size_t k = 0; k < tokens.length; ++k) {
                require(word_of.try_emplace(tokens.keys[k], words[i][k]).first->second == words[i][k], "a key is one word");
                require(key_of.try_emplace(words[i][k], tokens.keys[k]).first->second == tokens.keys[k], "a word is one key");
            }
        }
    }
}

void check_ptb(const std::vector<Characters>& texts) {
    // They have remembered words of all inputs before.
    static std::vector<m4i::ptb::Rewriter> olds = rewriters();
    std::vector<std::unique_ptr<Held>> held;
    std::vector<m4i::Text> given;
    Strings lines;
    for (const Characters& text : texts) {
        held.push_back(std::make_unique<Held>(text, narrowest(text)));
        given.push_back(held.back()->text());
        m4i::ptb::Rewriter fresh(*machines().front(), false);
        lines.push_back(alone(fresh, *held.back()));
        check_line(lines.back());
    }
    for (std::size_t i = 0; i < texts.size(); ++i) {
        for (int width = narrowest(texts[i]); width <= 4; width *= 2) {
            for (m4i::ptb::Rewriter& old : olds) {
                const std::string line = alone(old, Held(texts[i], width));
                same_lines({line}, {lines[i]}, "a line is the same after others, by blocks, and in wider units");
            }
        }
    }
    for (m4i::ptb::Rewriter& old : olds) {
        old.clear();
        std::vector<m4i::ptb::Line> block;
        for (const auto& text : held) block.push_back(old.alone(text->units()));
        Strings together;
        for (const m4i::ptb::Line& line : block) together.push_back(line_of(old, line));
        same_lines(together, lines, "a line is the same in a block");
    }
    check_streams(given, lines);

    Characters whole;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (i > 0) whole += U'\n';
        for (const char32_t c : texts[i]) whole += c == U'\n' ? U' ' : c;
    }
    const Held document(whole, narrowest(whole));
    m4i::ptb::Rewriter fresh(*machines().front(), false);
    const Strings expected = lines_of(fresh, document, texts.size(), texts.size());
    for (const std::string& line : expected) check_line(line);
    for (std::size_t step = 1; step <= std::min<std::size_t>(texts.size(), 3); ++step) {
        for (m4i::ptb::Rewriter& old : olds) {
            same_lines(lines_of(old, document, texts.size(), step), expected, "a document is the same by blocks and read in parts");
        }
    }
    if (narrowest(whole) < 4) {
        const Held wider(whole, 2 * narrowest(whole));
        for (m4i::ptb::Rewriter& old : olds) {
            same_lines(lines_of(old, wider, texts.size(), texts.size()), expected, "a document is the same in wider units");
        }
    }
    if (texts.size() == 1 && std::none_of(whole.begin(), whole.end(), ends_line)) {
        same_lines(expected, lines, "a document of one line is that line");
    }
}

// --- the counts of sets

using Words = std::vector<Characters>;

std::vector<Words> sentences_of(const Characters& text) {
    std::vector<Words> sentences;
    Characters sentence;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i < text.size() && text[i] != U'.') {
            sentence += text[i];
            continue;
        }
        if (!sentence.empty()) {
            sentences.push_back(split(sentence));
            if (sentences.back().empty()) sentences.back().emplace_back();
        }
        sentence.clear();
    }
    return sentences;
}

Words words_of(const std::vector<Words>& sentences) {
    Words words;
    for (const Words& each : sentences) words.insert(words.end(), each.begin(), each.end());
    return words;
}

std::set<Words> ngrams_of(const Words& words, std::size_t n) {
    std::set<Words> found;
    for (std::size_t i = 0; i + n <= words.size(); ++i) found.insert(Words(words.begin() + static_cast<std::ptrdiff_t>(i), words.begin() + static_cast<std::ptrdiff_t>(i + n)));
    return found;
}

// The words of the one longest subsequence that rouge's way back finds; `x` is the reference's sentence.
void add_subsequence(const Words& x, const Words& y, std::set<Characters>& united) {
    std::vector<std::vector<int>> table(x.size() + 1, std::vector<int>(y.size() + 1));
    for (std::size_t i = 1; i <= x.size(); ++i) {
        for (std::size_t j = 1; j <= y.size(); ++j) {
            table[i][j] = x[i - 1] == y[j - 1] ? table[i - 1][j - 1] + 1 : std::max(table[i - 1][j], table[i][j - 1]);
        }
    }
    for (std::size_t i = x.size(), j = y.size(); i > 0 && j > 0;) {
        if (x[i - 1] == y[j - 1]) {
            united.insert(x[i - 1]);
            --i;
            --j;
        } else if (table[i - 1][j] > table[i][j - 1]) {
            --i;
        } else {
            --j;
        }
    }
}

void check_sets(const std::vector<Characters>& texts) {
    static m4i::SetComparer comparer;
    std::vector<std::unique_ptr<Held>> held;
    std::vector<m4i::Text> given;
    for (const Characters& text : texts) {
        held.push_back(std::make_unique<Held>(text, narrowest(text)));
        given.push_back(held.back()->text());
    }
    const std::size_t references = texts.size() - 1;
    std::vector<std::int32_t> of_hypothesis(2), of_reference(2 * references), shared(2 * references), united(references);
    comparer.compare(given.data(), references, {of_hypothesis.data(), of_reference.data(), shared.data(), united.data()});
    const std::vector<Words> said = sentences_of(texts[0]);
    for (std::size_t i = 0; i < references; ++i) {
        const std::vector<Words> wanted = sentences_of(texts[i + 1]);
        for (std::size_t n = 1; n <= 2; ++n) {
            const std::set<Words> mine = ngrams_of(words_of(said), n), others = ngrams_of(words_of(wanted), n);
            const auto both = std::count_if(mine.begin(), mine.end(), [&](const Words& each) { return others.contains(each); });
            require(of_hypothesis[n - 1] == static_cast<std::int32_t>(mine.size()), "hypothesis_distinct");
            require(of_reference[2 * i + n - 1] == static_cast<std::int32_t>(others.size()), "reference_distinct");
            require(shared[2 * i + n - 1] == both, "shared");
        }
        std::set<Characters> words;
        for (const Words& theirs : wanted) {
            for (const Words& ours : said) add_subsequence(theirs, ours, words);
        }
        require(united[i] == static_cast<std::int32_t>(words.size()), "united");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // First byte: odd for sets. Then texts; for sets a hypothesis and its references.
    if (m4i::ptb::tables() == nullptr) {
        set_tables();
        // Sets take every character as it is, whatever is said of it here.
        m4i::unicode::set_characters({[](char32_t c) { return c; }, [](char32_t) { return false; }, [](char32_t) { return false; }});
    }
    if (size < 2) return 0;
    const std::vector<Characters> texts = texts_in(data + 1, size - 1);
    if (data[0] % 2 == 0) {
        check_ptb(texts);
    } else {
        check_sets(texts);
    }
    return 0;
}

#ifdef M4I_FUZZ_ALONE
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
    const std::string_view pieces[] = {"a",     "The",  "dog",   "U.S.",  "Inc.", "Mr.",    "can't",  "e.g.", "gonna", "B.",
                                       "little", "cannot", "Gimme", "is running on a", "sitting", "st", "Conn", "dog.",
                                       "no.\xff",
                                       "5",     "1/2",  "$3.50", "10:30", "--",   "----",   "-",      ".",    "...",   ",",
                                       "'",     "''",   "\"",    "`",     "(",    ")",      ":-)",    "<a b", ">",     "&amp;",
                                       "@user", "#tag", "www.x", ".com",  "\n",   "\x0b",   "\t",     " ",    "\xa0",  "\xad",
                                       "\xe9",  "\x85", "\xff",  "\xff",  "\0"sv, "\xfd\x20\x28"sv, "\xfd\x03\xa3"sv, "\xfd\x01\x30"sv,
                                       "\xfd\xd8\x3d"sv, "\xfd\xde\x00"sv, "\xfe\x01\xf6\x00"sv, "\xfd\x20\x19"sv, "\xfd\x30\x00"sv};
    std::vector<std::uint8_t> input;
    for (long execution = 0; execution < executions; ++execution) {
        input.assign(1, static_cast<std::uint8_t>(below(2)));
        const std::uint64_t kinds = 1 + below(std::size(pieces)), length = below(below(40) == 0 ? 3000 : 120);
        while (input.size() < length + 2) {
            if (below(30) == 0) {
                input.push_back(static_cast<std::uint8_t>(below(256)));
            } else {
                const std::string_view piece = pieces[(below(kinds) + static_cast<std::uint64_t>(execution)) % std::size(pieces)];
                input.insert(input.end(), piece.begin(), piece.end());
                if (below(3) != 0) input.push_back(' ');
            }
        }
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::printf("%ld executions agree\n", executions);
}
#endif
