#include "resample.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

namespace m4i {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kLobes = 3.0;
constexpr std::size_t kKept = 64;  // filters that a thread keeps: photographs have few sizes

double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= kPi;
    return std::sin(x) / x;
}

double lanczos(double x) { return -kLobes <= x && x < kLobes ? sinc(x) * sinc(x / kLobes) : 0.0; }

struct Weights {
    std::vector<std::uint32_t> first, count;
    std::vector<std::int32_t> weights;
    std::size_t in, out, taps;

    Weights(std::size_t in, std::size_t out) : first(out), count(out), in(in), out(out) {
        if (in == out) {
            taps = 1;
            weights.assign(out, 1 << kWeightBits);
            for (std::size_t i = 0; i < out; ++i) first[i] = static_cast<std::uint32_t>(i);
            count.assign(out, 1);
            return;
        }
        const double scale = static_cast<double>(in) / static_cast<double>(out), wide = std::max(scale, 1.0);
        const double reach = kLobes * wide, inverse = 1.0 / wide;
        taps = static_cast<std::size_t>(std::ceil(reach)) * 2 + 1;
        weights.assign(out * taps, 0);
        std::vector<double> shares(taps);
        for (std::size_t i = 0; i < out; ++i) {
            const double centre = (static_cast<double>(i) + 0.5) * scale;
            const int begin = std::max(static_cast<int>(centre - reach + 0.5), 0);
            const int end = std::min(static_cast<int>(centre + reach + 0.5), static_cast<int>(in));
            double total = 0.0;
            for (int x = 0; x < end - begin; ++x) {
                shares[x] = lanczos((x + begin - centre + 0.5) * inverse);
                total += shares[x];
            }
            first[i] = static_cast<std::uint32_t>(begin);
            count[i] = static_cast<std::uint32_t>(end - begin);
            for (int x = 0; x < end - begin; ++x) {
                if (total != 0.0) shares[x] /= total;
                const double scaled = shares[x] * (1 << kWeightBits);
                weights[i * taps + x] = static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
            }
        }
    }

    Filter filter() const { return {in, out, taps, first.data(), count.data(), weights.data()}; }
};

std::shared_ptr<const Weights> weights_for(std::size_t in, std::size_t out) {
    thread_local std::map<std::pair<std::size_t, std::size_t>, std::shared_ptr<const Weights>> kept;
    const auto key = std::make_pair(in, out);
    const auto found = kept.find(key);
    if (found != kept.end()) return found->second;
    if (kept.size() >= kKept) kept.clear();
    return kept[key] = std::make_shared<const Weights>(in, out);
}

}  // namespace

void resample(const std::uint8_t* pixels, std::size_t height, std::size_t width, std::size_t channels,
              std::uint8_t* out, std::size_t out_height, std::size_t out_width, const Machine& machine) {
    const auto across = weights_for(width, out_width), down = weights_for(height, out_height);
    const Filter x = across->filter(), y = down->filter();
    thread_local std::vector<std::uint8_t> room;
    room.resize(16 * width + 2 * resampled_bytes(x, y));
    machine.resample(pixels, channels, x, y, room.data(), out);
}

}  // namespace m4i
