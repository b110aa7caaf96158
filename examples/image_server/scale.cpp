#include "scale.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <vector>

namespace image_server {

namespace {

// The old pixels that lie under one new pixel, and which part of each.
struct Coverage {
    std::size_t first = 0;
    std::vector<float> weights;
};

std::vector<Coverage> cover(std::uint32_t from, std::uint32_t to) {
    const double step = static_cast<double>(from) / to;
    std::vector<Coverage> all(to);
    for (std::uint32_t i = 0; i < to; ++i) {
        const double begin = i * step;
        const double end = std::min((i + 1) * step, static_cast<double>(from));
        all[i].first = std::min(static_cast<std::uint32_t>(begin), from - 1);
        for (std::size_t old = all[i].first; static_cast<double>(old) < end; ++old) {
            const double part = std::min(end, static_cast<double>(old) + 1) -
                                std::max(begin, static_cast<double>(old));
            all[i].weights.push_back(static_cast<float>(part / (end - begin)));
        }
    }
    return all;
}

// Adds a row to `sums`, colours multiplied by opacity so that what is transparent has no colour.
void add_row(const std::uint8_t* row, float weight, std::vector<float>& sums) {
    for (std::size_t i = 0; i < sums.size(); i += 4) {
        const float alpha = weight * static_cast<float>(row[i + 3]);
        sums[i] += static_cast<float>(row[i]) * alpha;
        sums[i + 1] += static_cast<float>(row[i + 1]) * alpha;
        sums[i + 2] += static_cast<float>(row[i + 2]) * alpha;
        sums[i + 3] += alpha;
    }
}

std::uint8_t to_byte(float value) {
    return static_cast<std::uint8_t>(std::clamp(std::lround(value), 0L, 255L));
}

void write_pixel(const std::vector<float>& sums, const Coverage& columns, std::uint8_t* pixel) {
    float red = 0;
    float green = 0;
    float blue = 0;
    float alpha = 0;
    for (std::size_t i = 0; i < columns.weights.size(); ++i) {
        const float* sum = &sums[(columns.first + i) * 4];
        red += sum[0] * columns.weights[i];
        green += sum[1] * columns.weights[i];
        blue += sum[2] * columns.weights[i];
        alpha += sum[3] * columns.weights[i];
    }
    if (alpha > 0) {
        pixel[0] = to_byte(red / alpha);
        pixel[1] = to_byte(green / alpha);
        pixel[2] = to_byte(blue / alpha);
    }
    pixel[3] = to_byte(alpha);
}

}  // namespace

Size fit(Size original, std::uint32_t side) noexcept {
    const std::uint32_t longest = std::max(original.width, original.height);
    if (longest <= side) {
        return original;
    }
    const auto scaled = [&](std::uint32_t length) {
        const std::uint64_t rounded = (std::uint64_t{length} * side + longest / 2) / longest;
        return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(rounded));
    };
    return {.width = scaled(original.width), .height = scaled(original.height)};
}

Image shrink(const Image& image, Size target) {
    assert(target.width >= 1 && target.width <= image.size.width);
    assert(target.height >= 1 && target.height <= image.size.height);
    const std::size_t stride = std::size_t{image.size.width} * 4;
    const auto rows = cover(image.size.height, target.height);
    const auto columns = cover(image.size.width, target.width);

    Image small{
        .size = target,
        .rgba = Bytes(std::size_t{target.width} * target.height * 4),
    };
    std::uint8_t* pixel = small.rgba.data();
    std::vector<float> sums(stride);
    for (const Coverage& row : rows) {
        std::ranges::fill(sums, 0.0F);
        for (std::size_t i = 0; i < row.weights.size(); ++i) {
            add_row(&image.rgba[(row.first + i) * stride], row.weights[i], sums);
        }
        for (const Coverage& column : columns) {
            write_pixel(sums, column, pixel);
            pixel += 4;
        }
    }
    return small;
}

}  // namespace image_server
