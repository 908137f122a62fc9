#include "overlap.hpp"

namespace m4i {

void Comparer::compare(const Text* texts, const std::uint32_t* sizes, std::size_t records, Columns columns) {
    std::size_t count = 0;
    for (std::size_t record = 0; record < records; ++record) count += sizes[record];
    tokens_.fill(texts, count);
    texts_.clear();
    for (std::size_t text = 0; text < count; ++text) texts_.push_back(tokens_.tokens(text));
    records_.compare(texts_.data(), sizes, records, columns);
    split_twice(sizes, records, columns, [&](std::size_t, std::size_t text, std::size_t size) {
        apart_.fill_split_at_spaces(texts + text, size);
        for (std::size_t i = 0; i < size; ++i) apart_texts_.push_back(apart_.tokens(i));
    });
}

void Comparer::compare(const Text* hypotheses, std::size_t records, const Prepared& references, std::size_t first,
                       Columns columns) {
    const Numbers numbers{.find = &references.numbers()};
    tokens_.fill(hypotheses, records, numbers);
    if (references.small()) {
        compare_small(records, references, first, columns);
        if (!splits_twice(tokeniser_)) return;
    }
    texts_.clear();
    sizes_.clear();
    for (std::size_t record = 0; record < records; ++record) {
        texts_.push_back(tokens_.tokens(record));
        const std::size_t begin = references.first(first + record), size = references.size(first + record);
        for (std::size_t i = begin; i < begin + size; ++i) texts_.push_back(references.tokens(i));
        sizes_.push_back(static_cast<std::uint32_t>(size + 1));
    }
    if (!references.small()) records_.compare(texts_.data(), sizes_.data(), records, columns);
    split_twice(sizes_.data(), records, columns, [&](std::size_t record, std::size_t, std::size_t size) {
        apart_.fill_split_at_spaces(hypotheses + record, 1, numbers);
        apart_texts_.push_back(apart_.tokens(0));
        const std::size_t begin = references.first(first + record);
        for (std::size_t i = begin; i + 1 < begin + size; ++i) apart_texts_.push_back(references.apart(i));
    });
}

void Comparer::compare_small(std::size_t records, const Prepared& references, std::size_t first, Columns columns) {
    said_offsets_.assign(1, 0);
    for (std::size_t record = 0; record < records; ++record) {
        said_offsets_.push_back(said_offsets_.back() + tokens_.tokens(record).length);
    }
    const auto tokens = static_cast<std::size_t>(said_offsets_.back());
    if (said_.size() < tokens + kShort) said_.resize(tokens + kShort);
    if (records > 0) references.small_numbers().find(tokens_.tokens(0).keys, tokens, said_.data());
    small_.compare({{said_.data(), said_offsets_.data(), 0}, references.small_texts(references.first(first)),
                    references.rows(first), records, nullptr}, columns);
}

template <typename Apart>
void Comparer::split_twice(const std::uint32_t* sizes, std::size_t records, Columns columns, Apart apart) {
    if (!splits_twice(tokeniser_)) return;
    std::size_t text = 0, pair = 0;
    for (std::size_t record = 0; record < records; ++record) {
        const std::size_t size = sizes[record];
        bool single = true;
        for (std::size_t i = text; i < text + size; ++i) single &= texts_[i].single;
        if (!single) {
            apart_texts_.clear();
            apart(record, text, size);
            records_.compare_apart(apart_texts_.data(), size - 1, columns.from(record, pair));
        }
        text += size;
        pair += size - 1;
    }
}

}  // namespace m4i
