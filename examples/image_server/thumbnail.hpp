#pragma once

#include "image.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace image_server {

/// The largest side of a thumbnail that can be asked for.
inline constexpr std::uint32_t max_thumbnail_side = 2048;

/// What is sent to a worker process. A plain aggregate: the library needs no code to send it.
struct ThumbnailJob {
    Bytes upload;
    std::uint32_t side = 256;                     ///< 1 to max_thumbnail_side
    std::optional<Format> format = std::nullopt;  ///< default: the upload's
    std::uint64_t max_pixels = 32'000'000;
    bool test_hooks = false;  ///< obey uploads that ask the worker to misbehave
};

struct Thumbnail {
    Format format = Format::png;
    Size size;
    Size original;
    Bytes bytes;
    std::chrono::nanoseconds spent{};  ///< in the worker
};

/// An upload that becomes no thumbnail, by its own fault.
struct Refusal {
    RefusalReason reason = RefusalReason::malformed;
    std::string message;
};

using ThumbnailResult = std::variant<Thumbnail, Refusal>;

/// Decodes, scales down and encodes: everything that touches a stranger's bytes. No I/O.
///
/// @throws std::bad_alloc  if memory does not suffice; nothing else but libjpeg's and libpng's
///                         failures to encode, std::runtime_error.
[[nodiscard]] ThumbnailResult make_thumbnail(const ThumbnailJob& job);

/// `image/png` or `image/jpeg`.
[[nodiscard]] std::string_view content_type(Format format) noexcept;

}  // namespace image_server
