#include "numbering.hpp"

#include <limits>
#include <stdexcept>

namespace m4i {
namespace {

constexpr std::size_t kFirstSlots = 4096;

std::size_t mixed(Key key) {
    key *= 0x9E3779B97F4A7C15ull;
    return static_cast<std::size_t>(key ^ (key >> 32));
}

}  // namespace

Numbering::Numbering(Tokeniser tokeniser, const Machine& machine)
    : tokeniser_(tokeniser), stream_(tokeniser, machine), slots_(kFirstSlots, Slot{kNone, 0}) {}

void Numbering::add(const Text* texts, std::size_t count, std::vector<Id>& ids, std::vector<std::int64_t>& offsets) {
    stream_.fill(texts, count, {.learn = &interner_});
    for (std::size_t text = 0; text < count; ++text) {
        const Tokens tokens = stream_.tokens(text);
        for (std::uint32_t i = 0; i < tokens.length; ++i) ids.push_back(id_of(tokens.keys[i]));
        offsets.push_back(static_cast<std::int64_t>(ids.size()));
    }
}

Id Numbering::id_of(Key key) {
    std::size_t mask = slots_.size() - 1, slot = mixed(key) & mask;
    while (slots_[slot].key != kNone && slots_[slot].key != key) slot = (slot + 1) & mask;
    if (slots_[slot].key == key) return slots_[slot].id;
    if (known_ == static_cast<std::size_t>(std::numeric_limits<Id>::max())) {
        throw std::length_error("more distinct tokens than numbers");
    }
    const Id id = static_cast<Id>(known_++);
    slots_[slot] = {key, id};
    if (2 * known_ > slots_.size()) grow();
    return id;
}

void Numbering::grow() {
    std::vector<Slot> before(2 * slots_.size(), Slot{kNone, 0});
    before.swap(slots_);
    const std::size_t mask = slots_.size() - 1;
    for (const Slot& each : before) {
        if (each.key == kNone) continue;
        std::size_t slot = mixed(each.key) & mask;
        while (slots_[slot].key != kNone) slot = (slot + 1) & mask;
        slots_[slot] = each;
    }
}

}  // namespace m4i
