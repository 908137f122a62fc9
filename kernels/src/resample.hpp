// Lanczos resampling of pictures, byte for byte as Pillow does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "machine.hpp"

namespace m4i {

// Pixels height x width x channels (3, or 4 of which the last is not looked at) to out_height x out_width x 3.
void resample(const std::uint8_t* pixels, std::size_t height, std::size_t width, std::size_t channels,
              std::uint8_t* out, std::size_t out_height, std::size_t out_width, const Machine& machine);

}  // namespace m4i
