#pragma once

#include "image.hpp"
#include "jpeg_codec.hpp"
#include "png_codec.hpp"

#include <boost/crc.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace image_server::test {

/// Circles in many colours: something that a decoder has to work for.
inline Image picture(Size size) {
    Image image{.size = size, .rgba = {}};
    image.rgba.reserve(std::size_t{size.width} * size.height * 4);
    for (std::uint32_t y = 0; y < size.height; ++y) {
        for (std::uint32_t x = 0; x < size.width; ++x) {
            const std::uint32_t ring = (x * x + y * y) >> 8U;
            const std::array<std::uint8_t, 4> pixel = {
                static_cast<std::uint8_t>(ring),
                static_cast<std::uint8_t>(x),
                static_cast<std::uint8_t>(y),
                0xFF,
            };
            image.rgba.insert(image.rgba.end(), pixel.begin(), pixel.end());
        }
    }
    return image;
}

inline void put_big_endian(Bytes& bytes, std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) {
        bytes.at(at + i) = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    }
}

/// A PNG whose header claims another size than its data has; all checksums are right.
inline Bytes png_of_size(Size size) {
    Bytes png = encode_png(picture({64, 64}));
    put_big_endian(png, 16, size.width);
    put_big_endian(png, 20, size.height);
    boost::crc_32_type crc;
    crc.process_bytes(&png[12], 17);
    put_big_endian(png, 29, static_cast<std::uint32_t>(crc.checksum()));
    return png;
}

/// A JPEG whose header claims another size than its data has.
inline Bytes jpeg_of_size(Size size) {
    Bytes jpeg = encode_jpeg(picture({64, 64}));
    constexpr std::array<std::uint8_t, 2> frame = {0xFF, 0xC0};
    const auto found = std::ranges::search(jpeg, frame);
    if (found.empty()) {
        throw std::logic_error("a JPEG without a frame");
    }
    const auto header = found.begin() + 5;
    header[0] = static_cast<std::uint8_t>(size.height >> 8U);
    header[1] = static_cast<std::uint8_t>(size.height);
    header[2] = static_cast<std::uint8_t>(size.width >> 8U);
    header[3] = static_cast<std::uint8_t>(size.width);
    return jpeg;
}

}  // namespace image_server::test
