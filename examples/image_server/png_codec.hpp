#pragma once

#include "image.hpp"

#include <cstdint>

namespace image_server {

[[nodiscard]] bool looks_like_png(BytesView bytes) noexcept;

/// Decodes a PNG, whatever its colour type, depth and interlacing.
///
/// @param max_pixels  Checked against the header, before room for a single pixel is allocated.
/// @throws ImageError  malformed, too_large.
[[nodiscard]] Decoded decode_png(BytesView bytes, std::uint64_t max_pixels);

/// Encodes as PNG, without the alpha channel where all of it is opaque.
///
/// @throws std::runtime_error  if libpng fails.
[[nodiscard]] Bytes encode_png(const Image& image);

}  // namespace image_server
