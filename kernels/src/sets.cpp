#include "sets.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "machine.hpp"
#include "white_space.hpp"

namespace m4i {
namespace {

constexpr std::size_t kMostNumbered = std::size_t{1} << 15;
constexpr std::size_t kFewSentences = 8;
constexpr std::size_t kWhole = std::size_t{1} << 20;  // words of the table of bits that is kept in one piece

// The token's own bytes where they fit (see keys.hpp), else its number.
Key key_of(const char* begin, std::size_t length, Interner& interner) {
    if (length == 0 || length > 8 || std::memchr(begin, '\0', length) != nullptr) {
        return interner.number(begin, length);
    }
    Key key = 0;
    for (std::size_t i = 0; i < length; ++i) key |= Key{static_cast<unsigned char>(begin[i])} << (8 * i);
    return key;
}

}  // namespace

void SetComparer::compare(const Text* texts, std::size_t references, SetColumns columns) {
    if (interner_.size() > kMostNumbered) interner_.clear();
    keys_.clear();
    sentences_.clear();
    parted_.clear();
    for (std::size_t text = 0; text <= references; ++text) part(as_bytes(texts[text]));
    dictionary_.fill(keys_.data(), keys_.size(), ids_);
    seen_.assign(dictionary_.size(), 0);
    standing_.assign(dictionary_.size(), {});
    question_ = 0;
    for (Parted& text : parted_) drop_repeated(text.sentences);

    const Parted& hypothesis = parted_[0];
    bigrams_of(hypothesis.words, bigrams_);
    columns.hypothesis_distinct[0] = distinct(hypothesis.words);
    columns.hypothesis_distinct[1] = static_cast<std::int32_t>(bigrams_.size());
    for (std::size_t i = 0; i < references; ++i) {
        const Parted& reference = parted_[1 + i];
        bigrams_of(reference.words, other_bigrams_);
        columns.reference_distinct[2 * i] = distinct(reference.words);
        columns.reference_distinct[2 * i + 1] = static_cast<std::int32_t>(other_bigrams_.size());

        ++question_;
        for (std::size_t at = hypothesis.words.begin; at < hypothesis.words.end; ++at) {
            seen_[static_cast<std::size_t>(ids_[at])] = question_;
        }
        std::int32_t words = 0, pairs = 0;
        for (std::size_t at = reference.words.begin; at < reference.words.end; ++at) {
            std::uint32_t& seen = seen_[static_cast<std::size_t>(ids_[at])];
            words += seen == question_;
            if (seen == question_) seen = 0;  // each word once
        }
        for (auto mine = bigrams_.begin(), other = other_bigrams_.begin();
             mine != bigrams_.end() && other != other_bigrams_.end();) {
            pairs += *mine == *other;
            const bool on = *mine <= *other, other_on = *other <= *mine;
            mine += on;
            other += other_on;
        }
        columns.shared[2 * i] = words;
        columns.shared[2 * i + 1] = pairs;
        columns.united[i] = united(hypothesis, reference);
    }
}

// UTF-8, until the next one is asked for.
Text SetComparer::as_bytes(const Text& text) {
    if (text.width == 0) return text;
    if (utf8_.size() < unicode::room_for(text.size)) utf8_.resize(unicode::room_for(text.size));
    const char* const end = unicode::write(unicode::Form::plain, {text.data, text.size, text.width}, utf8_.data());
    return {utf8_.data(), static_cast<std::size_t>(end - utf8_.data()), false};
}

// Sentences end at full stops; an empty one is none, but one of white space holds one empty word.
void SetComparer::part(const Text& text) {
    const std::size_t first_word = keys_.size(), first_sentence = sentences_.size();
    const char* const end = text.data + text.size;
    for (const char* at = text.data; at <= end;) {
        const char* const stop = std::find(at, end, '.');
        if (at != stop) {
            const std::size_t begin = keys_.size();
            for (const char* word = at; word < stop;) {
                const std::size_t space = white_space(word, stop);
                if (space != 0) {
                    word += space;
                    continue;
                }
                const char* last = word;
                while (last < stop && white_space(last, stop) == 0) ++last;
                keys_.push_back(key_of(word, static_cast<std::size_t>(last - word), interner_));
                word = last;
            }
            if (keys_.size() == begin) keys_.push_back(kEmptyToken);
            sentences_.push_back({begin, keys_.size()});
        }
        at = stop + 1;
    }
    parted_.push_back({{first_word, keys_.size()}, {first_sentence, sentences_.size()}});
}

// A sentence that stands again adds nothing to a union. Without this, thousands of equal ones would be compared each
// with each.
void SetComparer::drop_repeated(Span& sentences) {
    if (sentences.end - sentences.begin <= kFewSentences) return;
    const auto at = [this](std::size_t place) { return ids_.begin() + static_cast<std::ptrdiff_t>(place); };
    const auto first = sentences_.begin() + static_cast<std::ptrdiff_t>(sentences.begin);
    const auto last = sentences_.begin() + static_cast<std::ptrdiff_t>(sentences.end);
    std::sort(first, last, [&](const Span& a, const Span& b) {
        return std::lexicographical_compare(at(a.begin), at(a.end), at(b.begin), at(b.end));
    });
    const auto end = std::unique(first, last, [&](const Span& a, const Span& b) {
        return std::equal(at(a.begin), at(a.end), at(b.begin), at(b.end));
    });
    sentences.end = static_cast<std::size_t>(end - sentences_.begin());
}

std::int32_t SetComparer::distinct(Span words) {
    ++question_;
    std::int32_t found = 0;
    for (std::size_t at = words.begin; at < words.end; ++at) {
        std::uint32_t& seen = seen_[static_cast<std::size_t>(ids_[at])];
        found += seen != question_;
        seen = question_;
    }
    return found;
}

void SetComparer::bigrams_of(Span words, std::vector<std::uint64_t>& bigrams) const {
    bigrams.clear();
    for (std::size_t at = words.begin; at + 1 < words.end; ++at) {
        bigrams.push_back(static_cast<std::uint64_t>(ids_[at]) << 32 | static_cast<std::uint32_t>(ids_[at + 1]));
    }
    std::sort(bigrams.begin(), bigrams.end());
    bigrams.erase(std::unique(bigrams.begin(), bigrams.end()), bigrams.end());
}

std::int32_t SetComparer::united(const Parted& hypothesis, const Parted& reference) {
    in_union_.assign(dictionary_.size(), false);
    for (std::size_t r = reference.sentences.begin; r < reference.sentences.end; ++r) {
        for (std::size_t h = hypothesis.sentences.begin; h < hypothesis.sentences.end; ++h) {
            trace(sentences_[h], sentences_[r]);
        }
    }
    return static_cast<std::int32_t>(std::count(in_union_.begin(), in_union_.end(), true));
}

// Adds the words of one longest common subsequence to the union: the one that rouge's way back through the table finds.
// A row of bits a reference word: bit i is 0 where the table grows from hypothesis word i to i + 1 (see lcs.hpp), so
// "table[above] > table[left]" is that bit. Of a large table only every block-th row is kept, and the way back makes
// those between anew.
void SetComparer::trace(Span hypothesis, Span reference) {
    const std::size_t length = hypothesis.end - hypothesis.begin, steps = reference.end - reference.begin;
    const std::size_t words = (length + 63) / 64;
    const auto id_at = [&](std::size_t begin, std::size_t i) { return static_cast<std::size_t>(ids_[begin + i]); };
    // Where a word stands in the hypothesis: a row of bits for the frequent ones, which are 64 at most; of the others the
    // last place (from 1 on), and from each place the one before. So a step costs a row, and memory stays linear.
    places_.resize(64 * words);
    place_before_.resize(length);
    std::uint32_t rows = 0;
    for (std::size_t i = 0; i < length; ++i) ++standing_[id_at(hypothesis.begin, i)].times;
    for (std::size_t i = 0; i < length; ++i) {
        Standing& word = standing_[id_at(hypothesis.begin, i)];
        if (word.times >= words) {
            if (word.row == 0) {
                word.row = ++rows;
                std::fill_n(places_.begin() + static_cast<std::ptrdiff_t>((rows - 1) * words), words, 0);
            }
            places_[(word.row - 1) * words + i / 64] |= std::uint64_t{1} << (i % 64);
        } else {
            place_before_[i] = word.last;
            word.last = static_cast<std::uint32_t>(i + 1);
        }
    }
    hits_.assign(words, 0);
    const auto row_after = [&](const std::uint64_t* before, std::size_t j, std::uint64_t* row) {
        const Standing word = standing_[id_at(reference.begin, j)];
        for (std::uint32_t at = word.last; at != 0; at = place_before_[at - 1]) {
            hits_[(at - 1) / 64] |= std::uint64_t{1} << ((at - 1) % 64);
        }
        const std::uint64_t* const hits = word.row == 0 ? hits_.data() : places_.data() + (word.row - 1) * words;
        std::uint64_t carry = 0;
        for (std::size_t w = 0; w < words; ++w) {
            const std::uint64_t taken = before[w] & hits[w], sum = before[w] + taken, carried = sum + carry;
            row[w] = carried | (before[w] - taken);
            carry = (sum < before[w]) | (carried < sum);
        }
        for (std::uint32_t at = word.last; at != 0; at = place_before_[at - 1]) hits_[(at - 1) / 64] = 0;
    };

    const bool whole = steps * words <= kWhole;
    const std::size_t block =
        whole ? steps : static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(steps))));
    const std::size_t blocks = (steps + block - 1) / block;
    kept_.resize(blocks * words);  // the row before each block
    open_.resize(block * words);
    std::fill_n(kept_.begin(), words, ~std::uint64_t{0});
    const auto fill = [&](std::size_t number) {
        const std::uint64_t* before = kept_.data() + number * words;
        std::uint64_t* row = open_.data();
        for (std::size_t j = number * block; j < std::min(steps, (number + 1) * block); ++j, before = row, row += words) {
            row_after(before, j, row);
        }
        return before;
    };
    for (std::size_t number = 0; number < blocks; ++number) {
        const std::uint64_t* const last = fill(number);
        if (number + 1 < blocks) std::copy_n(last, words, kept_.data() + (number + 1) * words);
    }
    std::size_t i = length, j = steps;
    for (std::size_t number = blocks; number-- > 0 && i > 0;) {
        if (number + 1 < blocks) fill(number);
        const std::size_t first = number * block;
        while (i > 0 && j > first) {
            const std::size_t id = id_at(reference.begin, j - 1);
            if (id_at(hypothesis.begin, i - 1) == id) {
                in_union_[id] = true;
                --i;
                --j;
            } else if ((open_[(j - 1 - first) * words + (i - 1) / 64] >> ((i - 1) % 64) & 1) == 0) {
                --j;
            } else {
                --i;
            }
        }
    }
    for (std::size_t at = 0; at < length; ++at) standing_[id_at(hypothesis.begin, at)] = {};
}

}  // namespace m4i
