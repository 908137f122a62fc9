#include "small_numbers.hpp"

namespace m4i {
namespace {

constexpr int kFirstBits = 10;

}  // namespace

SmallNumbers::SmallNumbers() { resize(kFirstBits); }

Small SmallNumbers::learn(Key key) {
    std::size_t slot = slot_of(key);
    if (keys_[slot] == key || known_ == kOther) return numbers_[slot];
    if (2 * (known_ + 1) > keys_.size()) {
        resize(64 - shift_ + 1);
        slot = slot_of(key);
    }
    keys_[slot] = key;
    return numbers_[slot] = static_cast<Small>(known_++);
}

void SmallNumbers::find(const Key* keys, std::size_t count, Small* numbers) const {
    for (std::size_t i = 0; i < count; ++i) numbers[i] = numbers_[slot_of(keys[i])];
}

void SmallNumbers::resize(int bits) {
    std::vector<Key> keys(std::size_t{1} << bits, kNone);
    std::vector<Small> numbers(std::size_t{1} << bits, kOther);
    keys.swap(keys_);
    numbers.swap(numbers_);
    shift_ = 64 - bits;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (keys[i] == kNone) continue;
        const std::size_t slot = slot_of(keys[i]);
        keys_[slot] = keys[i];
        numbers_[slot] = numbers[i];
    }
}

}  // namespace m4i
