#include "png_codec.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include <png.h>

namespace image_server {

namespace {

// libpng's simplified interface catches libpng's own longjmp inside itself and returns a code, so
// that none ever crosses a C++ frame. It also limits what ancillary chunks may inflate to.
class PngImage {
public:
    PngImage() { image_.version = PNG_IMAGE_VERSION; }
    PngImage(const PngImage&) = delete;
    PngImage& operator=(const PngImage&) = delete;
    ~PngImage() { png_image_free(&image_); }

    png_image& get() { return image_; }
    [[nodiscard]] std::string message() const { return static_cast<const char*>(image_.message); }

private:
    png_image image_{};
};

bool is_opaque(const Image& image) {
    for (std::size_t alpha = 3; alpha < image.rgba.size(); alpha += 4) {
        if (image.rgba[alpha] != 0xFF) {
            return false;
        }
    }
    return true;
}

Bytes without_alpha(const Image& image) {
    Bytes rgb;
    rgb.reserve(image.rgba.size() / 4 * 3);
    for (std::size_t pixel = 0; pixel < image.rgba.size(); pixel += 4) {
        rgb.insert(rgb.end(), &image.rgba[pixel], &image.rgba[pixel] + 3);
    }
    return rgb;
}

}  // namespace

bool looks_like_png(BytesView bytes) noexcept {
    constexpr std::array<std::uint8_t, 8> signature = {0x89, 'P', 'N', 'G', 0x0D, 0x0A, 0x1A, 0x0A};
    return bytes.size() >= signature.size() &&
           std::equal(signature.begin(), signature.end(), bytes.begin());
}

Decoded decode_png(BytesView bytes, std::uint64_t max_pixels) {
    PngImage png;
    if (png_image_begin_read_from_memory(&png.get(), bytes.data(), bytes.size()) == 0) {
        throw ImageError(RefusalReason::malformed, "PNG: " + png.message());
    }
    const Size size{.width = png.get().width, .height = png.get().height};
    check_pixels(size, max_pixels);
    png.get().format = PNG_FORMAT_RGBA;
    Image image{.size = size, .rgba = Bytes(std::size_t{size.width} * size.height * 4)};
    if (png_image_finish_read(&png.get(), nullptr, image.rgba.data(), 0, nullptr) == 0) {
        throw ImageError(RefusalReason::malformed, "PNG: " + png.message());
    }
    return {.image = std::move(image), .original = size};
}

Bytes encode_png(const Image& image) {
    const bool opaque = is_opaque(image);
    const Bytes rgb = opaque ? without_alpha(image) : Bytes();
    const Bytes& pixels = opaque ? rgb : image.rgba;

    PngImage png;
    png.get().width = image.size.width;
    png.get().height = image.size.height;
    png.get().format = opaque ? PNG_FORMAT_RGB : PNG_FORMAT_RGBA;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png.get());
    Bytes bytes(size);
    if (png_image_write_to_memory(&png.get(), bytes.data(), &size, 0, pixels.data(), 0, nullptr) ==
        0) {
        throw std::runtime_error("PNG: " + png.message());
    }
    bytes.resize(size);
    return bytes;
}

}  // namespace image_server
