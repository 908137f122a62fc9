// Keys as numbers of 16 bits, from 0 in order of appearance.
#pragma once

#include <cstddef>
#include <vector>

#include "keys.hpp"

namespace m4i {

class SmallNumbers {
public:
    static constexpr Small kOther = 0xFFFF;  // of all that were never learnt

    SmallNumbers();

    // The number of a key; kOther, for ever, to what comes when all numbers are given.
    Small learn(Key key);

    // The numbers of keys, learnt or not. Safe from many threads.
    void find(const Key* keys, std::size_t count, Small* numbers) const;

private:
    std::size_t slot_of(Key key) const {
        const std::size_t mask = keys_.size() - 1;
        std::size_t slot = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ull) >> shift_);
        while (keys_[slot] != key && keys_[slot] != kNone) slot = (slot + 1) & mask;
        return slot;
    }
    void resize(int bits);

    // Apart, so that what is looked at is small: kNone and kOther where a slot is free.
    std::vector<Key> keys_;
    std::vector<Small> numbers_;
    std::size_t known_ = 0;
    int shift_ = 0;
};

}  // namespace m4i
