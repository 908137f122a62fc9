#include "prepared.hpp"

namespace m4i {

void Prepared::Texts::take(const TokenStream& stream, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        const Tokens tokens = stream.tokens(i);
        keys.insert(keys.end(), tokens.keys, tokens.keys + tokens.length);
        offsets.push_back(keys.size());
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
    for (std::size_t i = 0; i < count; ++i) single_.push_back(stream_.tokens(i).single);
    if (splits_twice(tokeniser_)) {
        stream_.fill_split_at_spaces(texts, count, {.learn = &numbers_});
        apart_.take(stream_, count);
    }
}

}  // namespace m4i
