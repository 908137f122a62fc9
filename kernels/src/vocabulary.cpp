#include "vocabulary.hpp"

#include <bit>

namespace m4i {
namespace {

// Ids begin at 0, which marks a free slot.
Key key_of(Key token) { return token; }
Key key_of(Id token) { return Key{static_cast<std::uint32_t>(token)} + 1; }

}  // namespace

bool Vocabulary::make_room(std::size_t tokens) {
    if (2 * (known_ + tokens) <= slots_.size() && !slots_.empty()) [[likely]] return true;
    if (2 * tokens > kMost) return false;
    // What is common is soon known again.
    const std::size_t slots = slots_.empty() && 2 * tokens <= kFirst ? kFirst : kMost;
    slots_.assign(slots, kNone);
    known_ = 0;
    shift_ = 64 - std::countr_zero(slots);
    return true;
}

template <typename Token>
void Vocabulary::learn(const Token* tokens, std::size_t count, Small* numbers) {
    Key* const slots = slots_.data();
    const std::size_t mask = slots_.size() - 1;
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Key key = key_of(tokens[i]);
        std::size_t slot = slot_of(key);
        while (slots[slot] != key) [[unlikely]] {
            if (slots[slot] == kNone) {
                slots[slot] = key;
                ++fresh;
                break;
            }
            slot = (slot + 1) & mask;
        }
        numbers[i] = static_cast<Small>(slot);
    }
    known_ += fresh;
}

template <typename Token>
void Vocabulary::find(const Token* tokens, std::size_t count, Small* numbers) const {
    const Key* const slots = slots_.data();
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t i = 0; i < count; ++i) {
        const Key key = key_of(tokens[i]);
        std::size_t slot = slot_of(key);
        while (slots[slot] != key && slots[slot] != kNone) slot = (slot + 1) & mask;
        numbers[i] = static_cast<Small>(slot);
    }
}

template void Vocabulary::learn(const Key*, std::size_t, Small*);
template void Vocabulary::learn(const Id*, std::size_t, Small*);
template void Vocabulary::find(const Key*, std::size_t, Small*) const;
template void Vocabulary::find(const Id*, std::size_t, Small*) const;

}  // namespace m4i
