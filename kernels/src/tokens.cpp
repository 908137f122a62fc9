#include "tokens.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include "mteval.hpp"
#include "porter.hpp"
#include "white_space.hpp"

namespace m4i {
namespace {

constexpr int kStemmedBits = 12;  // remembered stems: captions have few words
constexpr std::size_t kMostNumbered = std::size_t{1} << 15;  // an interner beyond this leaves the second-level cache

std::size_t blocks_of(std::size_t size) { return size / kBlock * kBlock + kBlock; }  // with a byte behind

Alphabet alphabet_of(Tokeniser tokeniser) {
    switch (tokeniser) {
        case Tokeniser::words:
            return Alphabet::words;
        case Tokeniser::rouge_score:
        case Tokeniser::porter:
            return Alphabet::rouge_score;
        default:
            return Alphabet::whitespace;
    }
}

unicode::Form form_of(Tokeniser tokeniser) {
    switch (tokeniser) {
        case Tokeniser::words:
            return unicode::Form::words;
        case Tokeniser::rouge_score:
        case Tokeniser::porter:
            return unicode::Form::ascii;
        default:
            return unicode::Form::parted;
    }
}

// How many bytes stand before the next zero byte.
std::size_t bytes_before_zero(const char* begin) {
    if constexpr (std::endian::native == std::endian::little) {
        for (std::size_t at = 0;; at += 8) {
            std::uint64_t word;
            std::memcpy(&word, begin + at, sizeof word);
            const std::uint64_t zeros = (word - 0x0101010101010101u) & ~word & 0x8080808080808080u;
            if (zeros != 0) return at + static_cast<std::size_t>(std::countr_zero(zeros)) / 8;
        }
    } else {
        return std::strlen(begin);
    }
}

}  // namespace

bool needs_python(Tokeniser tokeniser, const unicode::Units& text) {
    return tokeniser == Tokeniser::mteval_13a && !plain_for_13a(text);
}

void TokenStream::make_room(std::size_t bytes, std::size_t tokens) {
    if (bytes >= std::size_t{1} << 32) throw std::length_error("texts that are compared together hold 4 GiB");
    if (bytes_.size() < bytes) bytes_.resize(bytes);
    if (keys_.size() < tokens) {
        others_.resize(tokens);
        keys_.resize(tokens);
    }
}

void TokenStream::begin(Numbers numbers) {
    if (interner_.size() > kMostNumbered) {
        interner_.clear();
        stemmed_.clear();
    }
    numbers_ = numbers;
    const Interner* const by = numbers.find != nullptr ? numbers.find : numbers.learn != nullptr ? numbers.learn : &interner_;
    if (stemmed_by_ != by) stemmed_.clear();  // stems are remembered by key, so they go with the keys
    stemmed_by_ = by;
}

Key TokenStream::number(const char* begin, std::size_t length) {
    if (numbers_.find != nullptr) {
        const Key key = numbers_.find->find(begin, length);
        return key == kNone ? kUnknown : key;
    }
    return (numbers_.learn != nullptr ? *numbers_.learn : interner_).number(begin, length);
}

// For ptb: each text as pycocoevalcap has it after its tokeniser; from there on it is coco_space.
const Text* TokenStream::lines_of(const Text* texts, std::size_t count) {
    if (rewriter_ == nullptr) rewriter_ = std::make_unique<ptb::Rewriter>();
    rewriter_->clear();
    lines_.clear();
    for (std::size_t i = 0; i < count; ++i) {
        lines_.push_back(rewriter_->alone({texts[i].data, texts[i].size, std::max<int>(texts[i].width, 1)}));
    }
    written_.clear();
    for (const ptb::Line& line : lines_) {
        written_.push_back({rewriter_->text() + line.begin, line.end - line.begin, !line.ascii});
    }
    return written_.data();
}

// The same texts, all as bytes that are cut as they are.
const Text* TokenStream::as_bytes(const Text* texts, std::size_t count, unicode::Form form) {
    if (tokeniser_ == Tokeniser::ptb) return lines_of(texts, count);
    // Of Latin-1 no character is ASCII in lower case: its bytes part words as they are.
    const int written_from = form == unicode::Form::ascii ? 2 : 1;
    std::size_t room = 0;
    for (std::size_t i = 0; i < count; ++i) {
        room += texts[i].width < written_from ? 0 : unicode::room_for(texts[i].size);
    }
    if (room == 0) return texts;
    if (utf8_.size() < room) utf8_.resize(room);
    written_.assign(texts, texts + count);
    char* out = utf8_.data();
    for (Text& text : written_) {
        if (text.width < written_from) continue;
        const char* const begin = out;
        out = unicode::write(form, {text.data, text.size, text.width}, out);
        text = {begin, static_cast<std::size_t>(out - begin), false};
    }
    return written_.data();
}

void TokenStream::fill(const Text* texts, std::size_t count, Numbers numbers) {
    begin(numbers);
    texts = as_bytes(texts, count, form_of(tokeniser_));
    std::size_t bytes = kBlock, tokens = kBlock;
    for (std::size_t i = 0; i < count; ++i) {
        bytes += blocks_of(texts[i].size);
        // Where no space is needed between tokens, each byte may be one.
        tokens += tokeniser_ == Tokeniser::mteval_13a ? texts[i].size + 1 : texts[i].size / 2 + 1;
    }
    make_room(bytes, tokens);
    offsets_.resize(count + 1);
    offsets_[0] = 0;
    single_spaced_.resize(count);

    Cutting out{keys_.data(), offsets_.data() + 1, single_spaced_.data(), others_.data(), bytes_.data()};
    while (true) {
        if (tokeniser_ != Tokeniser::mteval_13a) {
            machine_.cut(alphabet_of(tokeniser_), texts + out.texts, count - out.texts, out);
        }
        if (out.texts == count) break;
        out.tokens += split(texts[out.texts], bytes_.data() + out.at, out.tokens, &single_spaced_[out.texts]);
        offsets_[++out.texts] = out.tokens;
    }
    if (tokeniser_ == Tokeniser::porter) stem_all(out.tokens);
    for (std::size_t i = 0; i < out.listed; ++i) {
        char* const word = bytes_.data() + others_[i].begin;
        const std::size_t length = 9 + bytes_before_zero(word + 9);
        Key key = number(word, length);
        if (tokeniser_ == Tokeniser::porter) {
            Stemmed& known = stemmed(key);
            if (known.token != key || key == kUnknown) known = {key, stem_of(word, length)};
            key = known.stem;
        }
        keys_[others_[i].token] = key;
    }
}

// Texts that cut() does not know: of 13a, with a NUL, or ready. Returns how many tokens there are.
std::size_t TokenStream::split(const Text& text, char* bytes, std::size_t known, char* single) {
    if (starts_.size() < text.size + 1) {
        starts_.resize(text.size + 1);
        ends_.resize(text.size + 1);
        indices_.resize(text.size + 1);
    }
    std::memcpy(bytes, text.data, text.size);
    bool single_spaced = false;
    const std::size_t found = text.ready || tokeniser_ != Tokeniser::mteval_13a
                                  ? split_utf8({bytes, text.size, true}, starts_.data(), ends_.data(), &single_spaced)
                                  : split_13a(machine_, text.data, text.size, 0, starts_.data(), ends_.data());
    *single = single_spaced;
    Key* const keys = keys_.data() + known;
    const std::size_t listed = machine_.pack(bytes, starts_.data(), ends_.data(), found, keys, indices_.data());
    const auto number_one = [&](std::size_t token) {
        keys[token] = number(bytes + starts_[token], ends_[token] - starts_[token]);
    };
    for (std::size_t i = 0; i < listed; ++i) number_one(indices_[i]);
    if (std::memchr(text.data, '\0', text.size) == nullptr) return found;
    for (std::size_t token = 0; token < found; ++token) {
        if (std::memchr(bytes + starts_[token], '\0', ends_[token] - starts_[token]) != nullptr) number_one(token);
    }
    return found;
}

// rouge-score stems words of more than three letters; of those that are their own key, all whose fourth byte is set.
void TokenStream::stem_all(std::size_t count) {
    for (std::size_t token = 0; token < count; ++token) {
        const Key key = keys_[token];
        if (key >> 24 == 0) continue;
        Stemmed& known = stemmed(key);
        if (known.token != key) {
            char word[sizeof key];
            std::size_t length = 0;
            for (Key left = key; left != 0; left >>= 8) word[length++] = static_cast<char>(left);
            known = {key, stem_of(word, length)};
        }
        keys_[token] = known.stem;
    }
}

TokenStream::Stemmed& TokenStream::stemmed(Key key) {
    if (stemmed_.empty()) stemmed_.assign(std::size_t{1} << kStemmedBits, {kNone, kNone});
    return stemmed_[(key * 0x9E3779B97F4A7C15ull) >> (64 - kStemmedBits)];
}

// The key of a word's stem. The word is overwritten.
Key TokenStream::stem_of(char* word, std::size_t length) {
    length = stem(word, length);
    Key key = 0;
    if (length > sizeof key) return number(word, length);
    for (std::size_t i = 0; i < length; ++i) key |= Key{static_cast<unsigned char>(word[i])} << (8 * i);
    return key;
}

std::size_t TokenStream::split_utf8(const Text& text, std::uint32_t* starts, std::uint32_t* ends, bool* single) const {
    const bool spaces_only = tokeniser_ == Tokeniser::mteval_13a;  // tokens, joined by Python
    const char* const end = text.data + text.size;
    std::size_t found = 0, spaces = 0;
    bool plain = true, inside = false;
    for (const char* at = text.data; at < end;) {
        const std::size_t width = spaces_only ? std::size_t{*at == ' '} : white_space(at, end);
        if (width == 0) {
            if (!inside) starts[found] = static_cast<std::uint32_t>(at - text.data);
            inside = true;
            ++at;
            continue;
        }
        if (inside) ends[found++] = static_cast<std::uint32_t>(at - text.data);
        inside = false;
        plain &= *at == ' ';
        ++spaces;
        at += width;
    }
    if (inside) ends[found++] = static_cast<std::uint32_t>(text.size);
    *single = found > 0 && plain && spaces == found - 1 && starts[0] == 0 && ends[found - 1] == text.size;
    return found;
}

void TokenStream::fill_split_at_spaces(const Text* texts, std::size_t count, Numbers numbers) {
    begin(numbers);
    texts = as_bytes(texts, count, unicode::Form::plain);
    offsets_.assign(1, 0);
    single_spaced_.assign(count, 1);
    keys_.clear();
    for (std::size_t i = 0; i < count; ++i) {
        const char* begin = texts[i].data;
        const char* const end = begin + texts[i].size;
        while (true) {
            const char* const space = std::find(begin, end, ' ');
            // All tokens are numbered: these streams are rare, and their keys are compared among themselves only.
            keys_.push_back(number(begin, static_cast<std::size_t>(space - begin)));
            if (space == end) break;
            begin = space + 1;
        }
        offsets_.push_back(keys_.size());
    }
}

template <typename Token>
void Dictionary<Token>::fill(const Token* tokens, std::size_t count, std::vector<std::int32_t>& ids) {
    const std::size_t capacity = std::bit_ceil(std::max<std::size_t>(16, 2 * count));
    shift_ = 64 - std::countr_zero(capacity);
    slots_.assign(capacity, Slot{Token{}, -1});
    ids.resize(count);
    std::int32_t* const numbers = ids.data();
    std::int32_t size = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Token token = tokens[i];
        Slot& slot = slots_[slot_of(token)];
        // Whether a token is a new one cannot be guessed: no branch asks.
        const std::int32_t known = slot.number, fresh = known < 0;
        const std::int32_t number = fresh ? size : known;
        slot.token = token;
        slot.number = numbers[i] = number;
        size += fresh;
    }
    size_ = static_cast<std::size_t>(size);
}

template <typename Token>
void Dictionary<Token>::look_up(const Token* tokens, std::size_t count, std::vector<std::int32_t>& ids) const {
    ids.resize(count);
    std::int32_t* const numbers = ids.data();
    for (std::size_t i = 0; i < count; ++i) numbers[i] = slots_[slot_of(tokens[i])].number;
}

// The token's own slot, or a free one.
template <typename Token>
inline std::size_t Dictionary<Token>::slot_of(Token token) const {
    const Slot* const slots = slots_.data();
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = (static_cast<std::uint64_t>(token) * 0x9E3779B97F4A7C15ull) >> shift_;
    // Not 0 where another token stands: whether it is this one or none cannot be guessed, so no branch asks that.
    const auto taken = [&](const Slot& at) {
        const auto none = static_cast<std::uint64_t>(std::int64_t{at.number} >> 63);
        return static_cast<std::uint64_t>(at.token ^ token) & ~none;
    };
    while (taken(slots[slot]) != 0) slot = (slot + 1) & mask;
    return slot;
}

template class Dictionary<Key>;
template class Dictionary<Id>;
template class Dictionary<Small>;

}  // namespace m4i
