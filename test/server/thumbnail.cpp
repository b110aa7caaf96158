#include "thumbnail.hpp"

#include "jpeg_codec.hpp"
#include "png_codec.hpp"
#include "sample_images.hpp"
#include "scale.hpp"
#include "support/seed.hpp"

#define BOOST_TEST_MODULE thumbnail
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <random>
#include <string>
#include <variant>

#include <jpeglib.h>

namespace image_server {

std::ostream& operator<<(std::ostream& out, Size size) {
    return out << size.width << 'x' << size.height;
}

}  // namespace image_server

using namespace image_server;
using image_server::test::jpeg_of_size;
using image_server::test::picture;
using image_server::test::png_of_size;

namespace {

ThumbnailResult run(Bytes upload, std::uint32_t side = 32, std::optional<Format> format = {}) {
    return make_thumbnail({.upload = std::move(upload), .side = side, .format = format});
}

Thumbnail made(Bytes upload, std::uint32_t side = 32, std::optional<Format> format = {}) {
    return std::get<Thumbnail>(run(std::move(upload), side, format));
}

RefusalReason reason(const ThumbnailResult& result) {
    return std::get<Refusal>(result).reason;
}

Bytes cut(const Bytes& bytes, std::size_t size) {
    return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

Image one_colour(Size size, std::array<std::uint8_t, 4> colour) {
    Image image{.size = size, .rgba = {}};
    for (std::size_t i = 0; i < std::size_t{size.width} * size.height; ++i) {
        image.rgba.insert(image.rgba.end(), colour.begin(), colour.end());
    }
    return image;
}

bool is_near(const Image& image, std::array<int, 4> colour, int tolerance) {
    for (std::size_t i = 0; i < image.rgba.size(); ++i) {
        if (std::abs(int{image.rgba[i]} - colour[i % 4]) > tolerance) {
            return false;
        }
    }
    return true;
}

// As Adobe's programs write them: inverted, with a marker that says so.
Bytes cmyk_jpeg(JDIMENSION side, std::array<std::uint8_t, 4> inks) {
    jpeg_error_mgr errors{};
    jpeg_compress_struct info{};
    info.err = jpeg_std_error(&errors);
    jpeg_create_compress(&info);
    unsigned char* data = nullptr;
    unsigned long size = 0;
    jpeg_mem_dest(&info, &data, &size);
    info.image_width = side;
    info.image_height = side;
    info.input_components = 4;
    info.in_color_space = JCS_CMYK;
    jpeg_set_defaults(&info);
    jpeg_start_compress(&info, TRUE);
    Bytes row;
    for (JDIMENSION x = 0; x < side; ++x) {
        row.insert(row.end(), inks.begin(), inks.end());
    }
    while (info.next_scanline < side) {
        JSAMPROW pointer = row.data();
        jpeg_write_scanlines(&info, &pointer, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    Bytes bytes(data, data + size);
    std::free(data);
    return bytes;
}

// Changes a few bytes, at random.
Bytes damaged(Bytes bytes, std::mt19937& random) {
    const std::size_t changes = 1 + random() % 8;
    for (std::size_t i = 0; i < changes; ++i) {
        bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    }
    return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(thumbnail)

BOOST_AUTO_TEST_CASE(a_picture_is_fitted_into_a_square) {
    BOOST_TEST(fit({640, 480}, 64) == (Size{64, 48}));
    BOOST_TEST(fit({480, 640}, 64) == (Size{48, 64}));
    BOOST_TEST(fit({30, 20}, 64) == (Size{30, 20}));
    BOOST_TEST(fit({60'000, 2}, 64) == (Size{64, 1}));
}

BOOST_AUTO_TEST_CASE(each_format_stays_what_it_is) {
    const Thumbnail png = made(encode_png(picture({640, 480})));
    BOOST_TEST(png.size == (Size{32, 24}));
    BOOST_TEST(png.original == (Size{640, 480}));
    BOOST_TEST(looks_like_png(png.bytes));
    BOOST_TEST(content_type(png.format) == "image/png");
    BOOST_TEST(decode_png(png.bytes, 10'000).image.size == (Size{32, 24}));

    const Thumbnail jpeg = made(encode_jpeg(picture({640, 480})));
    BOOST_TEST(jpeg.size == (Size{32, 24}));
    BOOST_TEST(jpeg.original == (Size{640, 480}));
    BOOST_TEST(looks_like_jpeg(jpeg.bytes));
    BOOST_TEST(content_type(jpeg.format) == "image/jpeg");
}

BOOST_AUTO_TEST_CASE(each_format_becomes_the_other) {
    BOOST_TEST(looks_like_jpeg(made(encode_png(picture({64, 64})), 32, Format::jpeg).bytes));
    BOOST_TEST(looks_like_png(made(encode_jpeg(picture({64, 64})), 32, Format::png).bytes));
}

BOOST_AUTO_TEST_CASE(a_small_picture_is_not_enlarged) {
    BOOST_TEST(made(encode_png(picture({20, 10}))).size == (Size{20, 10}));
}

BOOST_AUTO_TEST_CASE(colours_survive_scaling) {
    const Image orange = one_colour({301, 203}, {240, 120, 20, 255});
    const Image small = shrink(orange, {17, 11});
    BOOST_TEST(is_near(small, {240, 120, 20, 255}, 1));
    const auto jpeg = made(encode_jpeg(orange), 40);
    BOOST_TEST(is_near(decode_jpeg(jpeg.bytes, 10'000, 40).image, {240, 120, 20, 255}, 6));
}

BOOST_AUTO_TEST_CASE(what_is_transparent_has_no_colour) {
    Image image = one_colour({64, 64}, {0, 0, 255, 255});
    for (std::size_t pixel = 0; pixel < image.rgba.size(); pixel += 8) {
        image.rgba[pixel] = 255;  // red, and invisible
        image.rgba[pixel + 3] = 0;
    }
    const Image small = decode_png(made(encode_png(image), 16).bytes, 10'000).image;
    BOOST_TEST(is_near(small, {0, 0, 255, 128}, 1));
    const Thumbnail flat = made(encode_png(image), 16, Format::jpeg);
    BOOST_TEST(is_near(decode_jpeg(flat.bytes, 10'000, 16).image, {127, 127, 255, 255}, 6));
}

BOOST_AUTO_TEST_CASE(inks_become_colours) {
    const Thumbnail made_of_inks = made(cmyk_jpeg(64, {255, 0, 0, 255}), 16, Format::png);
    BOOST_TEST(is_near(decode_png(made_of_inks.bytes, 10'000).image, {255, 0, 0, 255}, 6));
}

BOOST_AUTO_TEST_CASE(other_bytes_are_no_image) {
    const std::string gif = "GIF89a and so on";
    BOOST_TEST((reason(run(Bytes(gif.begin(), gif.end()))) == RefusalReason::unsupported));
    BOOST_TEST((reason(run({})) == RefusalReason::unsupported));
    BOOST_TEST((reason(run({0x89, 'P', 'N'})) == RefusalReason::unsupported));
}

BOOST_AUTO_TEST_CASE(a_truncated_file_is_refused_wherever_it_ends) {
    const Bytes jpeg = encode_jpeg(picture({64, 48}));
    for (std::size_t size = 3; size < jpeg.size(); ++size) {
        BOOST_TEST((reason(run(cut(jpeg, size))) == RefusalReason::malformed), size);
    }
    // A PNG's pixels may be complete before its last chunk is.
    const Bytes png = encode_png(picture({64, 48}));
    for (std::size_t size = 8; size < png.size(); ++size) {
        const ThumbnailResult result = run(cut(png, size));
        if (size < png.size() - 32) {
            BOOST_TEST((reason(result) == RefusalReason::malformed), size);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_huge_picture_is_refused_for_what_its_header_says) {
    BOOST_TEST((reason(run(png_of_size({50'000, 50'000}))) == RefusalReason::too_large));
    BOOST_TEST((reason(run(jpeg_of_size({65'500, 65'500}))) == RefusalReason::too_large));
    BOOST_TEST((reason(run(png_of_size({0xFFFF'FFFF, 0xFFFF'FFFF}))) == RefusalReason::malformed));
    BOOST_TEST((reason(run(png_of_size({0, 0}))) == RefusalReason::malformed));
    BOOST_TEST((reason(run(jpeg_of_size({4'000, 4'000}))) == RefusalReason::malformed));
}

BOOST_AUTO_TEST_CASE(random_bytes_end_in_a_result) {
    std::mt19937 random(cofutures::test::seed());
    const Bytes png = encode_png(picture({40, 30}));
    const Bytes jpeg = encode_jpeg(picture({40, 30}));
    for (int round = 0; round < 1000; ++round) {
        // No exception, no crash; some damage can be decoded all the same.
        static_cast<void>(run(damaged(png, random)));
        static_cast<void>(run(damaged(jpeg, random)));
        Bytes noise = cut(round % 2 == 0 ? png : jpeg, round % 2 == 0 ? 8 : 3);
        for (int i = 0; i < 200; ++i) {
            noise.push_back(static_cast<std::uint8_t>(random()));
        }
        BOOST_TEST((reason(run(std::move(noise))) == RefusalReason::malformed));
    }
}

BOOST_AUTO_TEST_SUITE_END()
