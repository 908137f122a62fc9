#include "prepared.hpp"

namespace m4i {

void Prepared::Texts::take(const TokenStream& stream, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const Tokens tokens = stream.tokens(i);
        keys.insert(keys.end(), tokens.keys, tokens.keys + tokens.length);
        offsets.push_back(offsets.back() + tokens.length);
    }
}

void Prepared::add(const Text* texts, const std::uint32_t* sizes, std::size_t records) {
    std::size_t count = 0;
    for (std::size_t record = 0; record < records; ++record) {
        count += sizes[record];
        first_.push_back(first_.back() + sizes[record]);
    }
    stream_.fill(texts, count, {.learn = &numbers_});
    texts_.take(stream_, count);
    const auto tokens = static_cast<std::size_t>(texts_.offsets.back());
    while (small_ && small_texts_.size() < tokens) {
        small_texts_.push_back(small_numbers_.learn(texts_.keys[small_texts_.size()]));
        small_ = small_texts_.back() != SmallNumbers::kOther;
    }
    for (std::size_t i = 0; i < count; ++i) single_.push_back(stream_.tokens(i).single);
    if (splits_twice(tokeniser_)) {
        stream_.fill_split_at_spaces(texts, count, {.learn = &numbers_});
        apart_.take(stream_, count);
    }
}

void Prepared::finish() {
    if (small_) {
        small_texts_.resize(small_texts_.size() + kShort);
        texts_.keys = {};
    } else {
        small_texts_ = {};
    }
}

}  // namespace m4i
