#include "jpeg_codec.hpp"

#include "scale.hpp"

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <type_traits>

// After <cstdio>, whose FILE they use.
#include <jerror.h>
#include <jpeglib.h>

namespace image_server {

namespace {

// A progressive file may hold thousands of scans over the same pixels; honest ones hold ten.
constexpr int max_scans = 100;

// libjpeg reports a fatal error by a call that must not return. Throwing through its C frames is
// undefined, so it jumps to `escape`; see guarded().
struct ErrorState {
    jpeg_error_mgr manager{};  // the first member: libjpeg hands out its address
    std::jmp_buf escape{};
    std::array<char, JMSG_LENGTH_MAX> message{};
    bool truncated = false;

    ErrorState();
};
static_assert(std::is_standard_layout_v<ErrorState>);

ErrorState& state_of(j_common_ptr info) {
    return *reinterpret_cast<ErrorState*>(info->err);
}

[[noreturn]] void leave(j_common_ptr info) {
    ErrorState& state = state_of(info);
    info->err->format_message(info, state.message.data());
    std::longjmp(state.escape, 1);  // NOLINT(cert-err52-cpp)
}

// Warnings are for damage that can be painted over. A file that ends too early is not served.
void note_message(j_common_ptr info, int level) {
    if (level < 0) {
        ++info->err->num_warnings;
        const int code = info->err->msg_code;
        ErrorState& state = state_of(info);
        state.truncated = state.truncated || code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER;
    }
}

void stay_silent(j_common_ptr) {}

void count_scans(j_common_ptr info) {
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > max_scans) {
        ERREXIT(info, JERR_BAD_PROGRESSION);
    }
}

ErrorState::ErrorState() {
    jpeg_std_error(&manager);
    manager.error_exit = leave;
    manager.emit_message = note_message;
    manager.output_message = stay_silent;
}

// Runs a step of libjpeg's. The jump back leaves the step's frame behind, so neither the step nor
// anything made in it may need a destructor; what does lives in the caller.
template <class Step>
void guarded(ErrorState& state, Step step) {
    static_assert(std::is_trivially_destructible_v<Step>);
    if (setjmp(state.escape) == 0) {  // NOLINT(cert-err52-cpp)
        step();
        return;
    }
    throw ImageError(RefusalReason::malformed, std::string("JPEG: ") + state.message.data());
}

void from_cmyk(const std::uint8_t* cmyk, std::uint32_t width, bool inverted, std::uint8_t* rgba) {
    const auto ink = [inverted](std::uint8_t value) {
        return static_cast<unsigned>(inverted ? value : 255 - value);
    };
    for (std::uint32_t i = 0; i < width; ++i, cmyk += 4, rgba += 4) {
        for (int channel = 0; channel < 3; ++channel) {
            rgba[channel] = static_cast<std::uint8_t>(ink(cmyk[channel]) * ink(cmyk[3]) / 255);
        }
        rgba[3] = 0xFF;
    }
}

class JpegReader {
public:
    JpegReader() {
        info_.err = &errors_.manager;
        progress_.progress_monitor = count_scans;
    }
    JpegReader(const JpegReader&) = delete;
    JpegReader& operator=(const JpegReader&) = delete;
    ~JpegReader() { jpeg_destroy_decompress(&info_); }

    // No part of the constructor: what a failed step leaves behind is the destructor's to free.
    void read_header(BytesView bytes) {
        guarded(errors_, [this, bytes] {
            jpeg_create_decompress(&info_);
            info_.progress = &progress_;
            jpeg_mem_src(&info_, bytes.data(), static_cast<unsigned long>(bytes.size()));
            jpeg_read_header(&info_, TRUE);
        });
    }

    [[nodiscard]] Size size() const { return {info_.image_width, info_.image_height}; }

    // Pixels are made from an eighth, a quarter or a half of the frequencies where that is enough.
    void reduce_for(std::uint32_t wanted) {
        const Size target = fit(size(), wanted);
        info_.scale_num = 1;
        info_.scale_denom = 8;
        while (info_.scale_denom > 1 && (size().width / info_.scale_denom < target.width * 2 ||
                                         size().height / info_.scale_denom < target.height * 2)) {
            info_.scale_denom /= 2;
        }
    }

    [[nodiscard]] Image read() {
        const bool cmyk = info_.num_components == 4;
        info_.out_color_space = cmyk ? JCS_CMYK : JCS_EXT_RGBA;
        guarded(errors_, [this] { jpeg_start_decompress(&info_); });
        const std::size_t stride = std::size_t{info_.output_width} * 4;
        Image image{
            .size = {info_.output_width, info_.output_height},
            .rgba = Bytes(stride * info_.output_height),
        };
        Bytes inks(cmyk ? stride : 0);
        guarded(errors_, [this, &image, &inks, stride, cmyk] {
            while (info_.output_scanline < info_.output_height) {
                std::uint8_t* pixels = &image.rgba[info_.output_scanline * stride];
                JSAMPROW row = cmyk ? inks.data() : pixels;
                jpeg_read_scanlines(&info_, &row, 1);
                if (cmyk) {
                    from_cmyk(row, info_.output_width, info_.saw_Adobe_marker != FALSE, pixels);
                }
            }
            jpeg_finish_decompress(&info_);
        });
        if (errors_.truncated) {
            throw ImageError(RefusalReason::malformed, "JPEG: the file ends too early");
        }
        return image;
    }

private:
    ErrorState errors_;
    jpeg_progress_mgr progress_{};
    jpeg_decompress_struct info_{};
};

Bytes on_white(const Image& image) {
    Bytes rgb;
    rgb.reserve(image.rgba.size() / 4 * 3);
    for (std::size_t pixel = 0; pixel < image.rgba.size(); pixel += 4) {
        const unsigned alpha = image.rgba[pixel + 3];
        for (std::size_t channel = 0; channel < 3; ++channel) {
            const unsigned colour = image.rgba[pixel + channel] * alpha + 255 * (255 - alpha);
            rgb.push_back(static_cast<std::uint8_t>((colour + 127) / 255));
        }
    }
    return rgb;
}

class JpegWriter {
public:
    JpegWriter() { info_.err = &errors_.manager; }
    JpegWriter(const JpegWriter&) = delete;
    JpegWriter& operator=(const JpegWriter&) = delete;
    ~JpegWriter() {
        jpeg_destroy_compress(&info_);
        std::free(data_);  // NOLINT(cppcoreguidelines-no-malloc): what jpeg_mem_dest allocates
    }

    [[nodiscard]] Bytes write(Size size, Bytes rgb, int quality) {
        guarded(errors_, [this, size, &rgb, quality] {
            jpeg_create_compress(&info_);
            jpeg_mem_dest(&info_, &data_, &size_);
            info_.image_width = size.width;
            info_.image_height = size.height;
            info_.input_components = 3;
            info_.in_color_space = JCS_RGB;
            jpeg_set_defaults(&info_);
            jpeg_set_quality(&info_, quality, TRUE);
            jpeg_start_compress(&info_, TRUE);
            while (info_.next_scanline < info_.image_height) {
                JSAMPROW row = &rgb[std::size_t{info_.next_scanline} * size.width * 3];
                jpeg_write_scanlines(&info_, &row, 1);
            }
            jpeg_finish_compress(&info_);
        });
        return {data_, data_ + size_};
    }

private:
    ErrorState errors_;
    jpeg_compress_struct info_{};
    unsigned char* data_ = nullptr;
    unsigned long size_ = 0;
};

}  // namespace

bool looks_like_jpeg(BytesView bytes) noexcept {
    constexpr std::array<std::uint8_t, 3> signature = {0xFF, 0xD8, 0xFF};
    return bytes.size() >= signature.size() &&
           std::equal(signature.begin(), signature.end(), bytes.begin());
}

Decoded decode_jpeg(BytesView bytes, std::uint64_t max_pixels, std::uint32_t wanted) {
    JpegReader reader;
    reader.read_header(bytes);
    check_pixels(reader.size(), max_pixels);
    reader.reduce_for(wanted);
    return {.image = reader.read(), .original = reader.size()};
}

Bytes encode_jpeg(const Image& image, int quality) {
    return JpegWriter().write(image.size, on_white(image), quality);
}

}  // namespace image_server
