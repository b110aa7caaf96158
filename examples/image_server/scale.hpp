#pragma once

#include "image.hpp"

#include <cstdint>

namespace image_server {

/// The largest size of the same proportions within a square of side `side`; never enlarges, and
/// leaves at least one pixel.
[[nodiscard]] Size fit(Size original, std::uint32_t side) noexcept;

/// Scales down: each new pixel is the mean of what it covers, weighted by area and opacity.
///
/// @pre `target` is not larger than the image in either direction, and not empty.
[[nodiscard]] Image shrink(const Image& image, Size target);

}  // namespace image_server
