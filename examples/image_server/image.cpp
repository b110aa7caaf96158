#include "image.hpp"

namespace image_server {

void check_pixels(Size size, std::uint64_t max_pixels) {
    const std::uint64_t pixels = std::uint64_t{size.width} * size.height;
    if (pixels > max_pixels) {
        throw ImageError(
            RefusalReason::too_large,
            "the image has " + std::to_string(size.width) + " x " + std::to_string(size.height) +
                " pixels, at most " + std::to_string(max_pixels) + " are allowed"
        );
    }
}

}  // namespace image_server
