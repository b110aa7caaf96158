#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace image_server {

using Bytes = std::vector<std::uint8_t>;
using BytesView = std::span<const std::uint8_t>;

/// The formats that are read and written.
enum class Format : std::uint8_t { png, jpeg };

struct Size {
    std::uint32_t width = 0;
    std::uint32_t height = 0;

    friend bool operator==(const Size&, const Size&) = default;
};

/// A picture in memory: rows from top to bottom, four bytes to a pixel, alpha not premultiplied.
struct Image {
    Size size;
    Bytes rgba;
};

/// What a decoder gives.
struct Decoded {
    Image image;
    Size original;  ///< as the file has it; the decoder may have scaled it down
};

/// Why bytes do not become a picture.
enum class RefusalReason : std::uint8_t {
    unsupported,  ///< no PNG and no JPEG
    malformed,    ///< damaged, truncated, or against the format's rules
    too_large,    ///< more pixels than are allowed
};

/// Bytes that do not become a picture.
class ImageError : public std::runtime_error {
public:
    ImageError(RefusalReason reason, const std::string& message)
        : std::runtime_error(message), reason_(reason) {}

    [[nodiscard]] RefusalReason reason() const noexcept { return reason_; }

private:
    RefusalReason reason_;
};

/// To be called before room for a picture is allocated.
///
/// @throws ImageError  too_large.
void check_pixels(Size size, std::uint64_t max_pixels);

}  // namespace image_server
