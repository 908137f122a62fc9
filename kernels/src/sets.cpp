#include "sets.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "machine.hpp"
#include "white_space.hpp"

namespace m4i {
namespace {

constexpr std::size_t kMostNumbered = std::size_t{1} << 15;

// The token's own bytes where they fit (see keys.hpp), else its number.
Key key_of(const char* begin, std::size_t length, Interner& interner) {
    if (length == 0 || length > 8 || static_cast<unsigned char>(begin[length - 1]) >= 0x80 ||
        std::memchr(begin, '\0', length) != nullptr) {
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
    for (std::size_t text = 0; text <= references; ++text) part(texts[text]);
    dictionary_.fill(keys_.data(), keys_.size(), ids_);
    seen_.assign(dictionary_.size(), 0);
    question_ = 0;

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
// open_ holds a row a reference word: bit i is 0 where the table grows from hypothesis word i to i + 1 (see lcs.hpp), so
// "table[above] > table[left]" is that bit.
void SetComparer::trace(Span hypothesis, Span reference) {
    const std::size_t length = hypothesis.end - hypothesis.begin, steps = reference.end - reference.begin;
    const std::size_t words = (length + 63) / 64;
    open_.resize(steps * words);
    positions_.assign(dictionary_.size() * words, 0);
    for (std::size_t i = 0; i < length; ++i) {
        positions_[static_cast<std::size_t>(ids_[hypothesis.begin + i]) * words + i / 64] |= std::uint64_t{1} << (i % 64);
    }
    for (std::size_t j = 0; j < steps; ++j) {
        const std::uint64_t* const hits = positions_.data() + static_cast<std::size_t>(ids_[reference.begin + j]) * words;
        std::uint64_t carry = 0;
        for (std::size_t w = 0; w < words; ++w) {
            const std::uint64_t before = j == 0 ? ~std::uint64_t{0} : open_[(j - 1) * words + w];
            const std::uint64_t taken = before & hits[w], sum = before + taken, carried = sum + carry;
            open_[j * words + w] = carried | (before - taken);
            carry = (sum < before) | (carried < sum);
        }
    }
    for (std::size_t i = length, j = steps; i > 0 && j > 0;) {
        const std::int32_t id = ids_[reference.begin + j - 1];
        if (ids_[hypothesis.begin + i - 1] == id) {
            in_union_[static_cast<std::size_t>(id)] = true;
            --i;
            --j;
        } else if ((open_[(j - 1) * words + (i - 1) / 64] >> ((i - 1) % 64) & 1) == 0) {
            --j;
        } else {
            --i;
        }
    }
}

}  // namespace m4i
