#include "thumbnail.hpp"

#include "jpeg_codec.hpp"
#include "png_codec.hpp"
#include "scale.hpp"
#include "test_hooks.hpp"

#include <utility>

namespace image_server {

namespace {

Decoded decode(const ThumbnailJob& job, Format format) {
    return format == Format::png ? decode_png(job.upload, job.max_pixels)
                                 : decode_jpeg(job.upload, job.max_pixels, job.side);
}

Format format_of(BytesView upload) {
    if (looks_like_png(upload)) {
        return Format::png;
    }
    if (looks_like_jpeg(upload)) {
        return Format::jpeg;
    }
    throw ImageError(RefusalReason::unsupported, "the upload is neither a PNG nor a JPEG");
}

Thumbnail convert(const ThumbnailJob& job) {
    const auto start = std::chrono::steady_clock::now();
    const Format from = format_of(job.upload);
    const Format to = job.format.value_or(from);
    auto [image, original] = decode(job, from);
    const Size target = fit(original, job.side);
    if (image.size != target) {
        image = shrink(image, target);
    }
    return {
        .format = to,
        .size = target,
        .original = original,
        .bytes = to == Format::png ? encode_png(image) : encode_jpeg(image),
        .spent = std::chrono::steady_clock::now() - start,
    };
}

}  // namespace

ThumbnailResult make_thumbnail(const ThumbnailJob& job) {
    if (job.test_hooks) {
        obey_test_hook(job.upload);
    }
    try {
        return convert(job);
    } catch (const ImageError& error) {
        return Refusal{.reason = error.reason(), .message = error.what()};
    }
}

std::string_view content_type(Format format) noexcept {
    return format == Format::jpeg ? "image/jpeg" : "image/png";
}

}  // namespace image_server
