#include "keys.hpp"

#include <bit>
#include <cstring>

namespace m4i {
namespace {

constexpr std::uint64_t kMixA = 0x9E3779B97F4A7C15ull;
constexpr std::uint64_t kMixB = 0xD6E8FEB86659FD93ull;
constexpr std::size_t kFirstSlots = 1024;

std::uint64_t load(const char* at, std::size_t length = 8) {
    std::uint64_t value = 0;
    std::memcpy(&value, at, length);
    return value;
}

}  // namespace

Interner::Interner() : slots_(kFirstSlots, Slot{0, 0}) {}

void Interner::clear() {
    slots_.assign(kFirstSlots, Slot{0, 0});
    tokens_.clear();
    bytes_.clear();
}

Key Interner::number(const char* begin, std::size_t length) {
    if (length == 0) return kEmptyToken;
    const std::uint64_t hash = hash_of(begin, length);
    std::size_t slot = slot_of(hash, begin, length);
    if (slots_[slot].number == 0) {
        if (2 * (tokens_.size() + 1) > slots_.size()) {
            grow();
            slot = slot_of(hash, begin, length);
        }
        tokens_.push_back({bytes_.size(), length});
        bytes_.insert(bytes_.end(), begin, begin + length);
        slots_[slot] = {hash, static_cast<std::uint32_t>(tokens_.size())};
    }
    return kNumbered | slots_[slot].number;
}

Key Interner::find(const char* begin, std::size_t length) const {
    if (length == 0) return kEmptyToken;
    const std::uint32_t number = slots_[slot_of(hash_of(begin, length), begin, length)].number;
    return number == 0 ? kNone : kNumbered | number;
}

std::uint64_t Interner::hash_of(const char* begin, std::size_t length) {
    std::uint64_t hash = length * kMixB;
    if (length < 8) {
        hash = (hash ^ load(begin, length)) * kMixA;
    } else {
        for (std::size_t at = 0; at + 8 < length; at += 8) hash = (std::rotl(hash, 29) ^ load(begin + at)) * kMixA;
        hash = (std::rotl(hash, 29) ^ load(begin + length - 8)) * kMixA;
    }
    return (hash ^ (hash >> 32)) * kMixB;
}

std::size_t Interner::slot_of(std::uint64_t hash, const char* begin, std::size_t length) const {
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t slot = hash & mask;; slot = (slot + 1) & mask) {
        const Slot& here = slots_[slot];
        if (here.number == 0) return slot;
        if (here.hash != hash) continue;
        const Span& token = tokens_[here.number - 1];
        if (token.length == length && std::memcmp(bytes_.data() + token.begin, begin, length) == 0) return slot;
    }
}

void Interner::grow() {
    std::vector<Slot> before(2 * slots_.size(), Slot{0, 0});
    before.swap(slots_);
    const std::size_t mask = slots_.size() - 1;
    for (const Slot& each : before) {
        if (each.number == 0) continue;
        std::size_t slot = each.hash & mask;
        while (slots_[slot].number != 0) slot = (slot + 1) & mask;
        slots_[slot] = each;
    }
}

}  // namespace m4i
