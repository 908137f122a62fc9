// pow, exp and log of the C library, which Python uses too, remembered by argument: captions are short, so the same few
// ratios come again and again, and a look costs a tenth of a pow.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace m4i {

template <double (*Function)(double)>
class Remembered {
public:
    double operator()(double x) {
        // Not before it is used: it may be made in another thread.
        if (entries_ == nullptr) [[unlikely]] entries_ = of_this_thread();
        Entry& entry = entries_[(std::bit_cast<std::uint64_t>(x) * 0x9E3779B97F4A7C15ull) >> (64 - kBits)];
        if (std::bit_cast<std::uint64_t>(entry.argument) != std::bit_cast<std::uint64_t>(x)) entry = {x, Function(x)};
        return entry.value;
    }

private:
    static constexpr int kBits = 12;
    static constexpr std::size_t kEntries = std::size_t{1} << kBits;

    struct Entry {
        double argument;
        double value;
    };

    // 64 KB that last as long as the thread does: to fill them for each call takes longer than a small call.
    static Entry* of_this_thread() {
        thread_local const std::unique_ptr<Entry[]> entries = [] {
            auto made = std::make_unique_for_overwrite<Entry[]>(kEntries);
            std::fill_n(made.get(), kEntries, Entry{1.0, Function(1.0)});
            return made;
        }();
        return entries.get();
    }

    Entry* entries_ = nullptr;
};

inline double root2(double x) { return std::pow(x, 1.0 / 2); }
inline double root3(double x) { return std::pow(x, 1.0 / 3); }
inline double root4(double x) { return std::pow(x, 1.0 / 4); }
inline double exponential(double x) { return std::exp(x); }
inline double logarithm(double x) { return std::log(x); }

}  // namespace m4i
