// Writes an image to the standard output: make_image png|jpeg|png-bomb|jpeg-bomb [WIDTH HEIGHT]

#include "jpeg_codec.hpp"
#include "png_codec.hpp"
#include "sample_images.hpp"

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

namespace {

image_server::Bytes make(std::string_view kind, image_server::Size size) {
    using namespace image_server;
    if (kind == "png-bomb") {
        return test::png_of_size({50'000, 50'000});
    }
    if (kind == "jpeg-bomb") {
        return test::jpeg_of_size({65'500, 65'500});
    }
    const Image image = test::picture(size);
    return kind == "png" ? encode_png(image) : encode_jpeg(image);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2 && argc != 4) {
        std::cerr << "make_image png|jpeg|png-bomb|jpeg-bomb [WIDTH HEIGHT]\n";
        return EXIT_FAILURE;
    }
    image_server::Size size{640, 480};
    if (argc == 4) {
        size.width = static_cast<std::uint32_t>(std::stoul(argv[2]));
        size.height = static_cast<std::uint32_t>(std::stoul(argv[3]));
    }
    const image_server::Bytes bytes = make(argv[1], size);
    std::cout.write(
        reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())
    );
    return std::cout.flush() ? EXIT_SUCCESS : EXIT_FAILURE;
}
