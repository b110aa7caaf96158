#pragma once

#include "image.hpp"

#include <cstdint>

namespace image_server {

[[nodiscard]] bool looks_like_jpeg(BytesView bytes) noexcept;

/// Decodes a JPEG: grey, YCbCr, RGB, CMYK, YCCK; baseline or progressive.
///
/// @param max_pixels  Checked against the header, before room for a single pixel is allocated.
/// @param wanted      Side of the square that the picture will be fitted into. The decoder may
///                    give a smaller picture than the file holds, at least twice as large as that.
/// @throws ImageError  malformed, too_large.
[[nodiscard]] Decoded decode_jpeg(BytesView bytes, std::uint64_t max_pixels, std::uint32_t wanted);

/// Encodes as JPEG; what is transparent is laid on white.
///
/// @throws std::runtime_error  if libjpeg fails.
[[nodiscard]] Bytes encode_jpeg(const Image& image, int quality = 85);

}  // namespace image_server
