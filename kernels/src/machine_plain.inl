// Words of letters alone, for the PTB tokeniser; included after machine_common.inl, where that is.

// The letters of a word of at most 16; 16 bytes can be read.
inline ptb::Letters letters_at(const char* word, size_t length) {
    ptb::Letters letters;
    if constexpr (std::endian::native == std::endian::little) {
        std::memcpy(&letters, word, sizeof letters);
        const auto first = [](size_t bytes) { return bytes < 8 ? (uint64_t{1} << (8 * bytes)) - 1 : ~uint64_t{0}; };
        letters.low &= first(length);
        letters.high &= first(length < 8 ? 0 : length - 8);
    } else {
        for (size_t i = 0; i < length; ++i) {
            (i < 8 ? letters.low : letters.high) |= uint64_t{static_cast<unsigned char>(word[i])} << (8 * (i % 8));
        }
    }
    return letters;
}

// A block of a text, told apart. `Bytes` is made of up to 64 units and the letters to look for twice; bits beyond the
// units are zero. It has `letters`, `blanks`, `doubled` (such a letter, and once more behind it; others may be there too),
// and writes kBlock bytes with the bit of lower case set: letters become small, blanks stay.
template <typename Bytes, typename Unit>
ptb::Stretch read_plain(const Unit* text, size_t size, bool line_feed, const ptb::PlainWords& but, char* out) {
    const auto below = [](size_t bit) { return bit < 64 ? (uint64_t{1} << bit) - 1 : ~uint64_t{0}; };
    const Bytes block(text, std::min(size, kBlock), but);
    block.write(out);
    const uint64_t letters = block.letters, before = letters << 1;
    // Up to the first byte that is neither a letter nor a blank after one.
    auto stop = static_cast<size_t>(std::countr_one(letters | (block.blanks & before)));
    for (uint64_t some = letters & ~before & (block.doubled >> 2) & below(stop); some != 0; some &= some - 1) {
        const auto begin = static_cast<size_t>(std::countr_zero(some));
        const auto length = static_cast<size_t>(std::countr_one(letters >> begin));
        if (length > ptb::PlainWords::kMostLetters) continue;
        const uint64_t word = letters_at(out + begin, length).low;
        if (std::find(but.words.begin(), but.words.begin() + but.count, word) == but.words.begin() + but.count) continue;
        stop = begin;
        break;
    }
    const auto read = [&](size_t end, size_t over, bool full_stop) -> ptb::Stretch {
        const auto words = static_cast<uint16_t>(std::popcount(block.blanks & below(end)) + 1);
        return {static_cast<uint16_t>(end + over), static_cast<uint16_t>(end), words, full_stop};
    };
    const auto ends_at = [&](size_t at) { return at == size || (line_feed && text[at] == Unit{'\n'}); };
    if (stop > 0) {
        const bool after_letter = letters >> (stop - 1) & 1;
        if (after_letter && ends_at(stop)) return read(stop, 0, false);
        if (stop < size && text[stop] == Unit{'.'} && but.full_stop && ends_at(stop + 1)) {
            if (!after_letter) return read(stop - 1, 2, true);
            const auto length = static_cast<size_t>(std::countl_one(letters << (63 - (stop - 1))));
            const bool is_short = but.dot && length <= ptb::Letters::kMost;
            if (is_short && !but.dotted.contains(letters_at(out + stop - length, length))) return read(stop, 1, true);
        }
    }
    const uint64_t blanks = block.blanks & below(stop);
    if (blanks == 0) return {0, 0, 0, false};
    return read(static_cast<size_t>(63 - std::countl_zero(blanks)), 0, false);
}
