// A server that makes thumbnails of what strangers upload. Images are decoded in worker processes,
// so that a hostile file costs one request; one thread serves all connections.

#include "descriptor_limit.hpp"
#include "options.hpp"
#include "server.hpp"

#include <cofutures/freeze_support.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>

namespace {

// The exit status: success if every request under way at the end was answered.
int serve(const image_server::Options& options) {
    boost::asio::io_context io(1);
    image_server::Server server(io, options);
    std::cout << "Listening on " << server.url() << std::endl;
    bool clean = false;
    std::exception_ptr failure;
    boost::asio::co_spawn(io, server.run(), [&](std::exception_ptr error, bool answered) {
        failure = std::move(error);
        clean = answered;
        if (failure) {
            io.stop();
        }
    });
    io.run();
    if (failure) {
        std::rethrow_exception(failure);
    }
    std::cout << (clean ? "Done" : "Done; some requests were cut off") << std::endl;
    return clean ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);  // a worker never comes back from here
    try {
        const auto options = image_server::parse_options(argc, argv, std::cout);
        if (!options) {
            return EXIT_SUCCESS;
        }
        image_server::raise_descriptor_limit();
        return serve(*options);
    } catch (const std::exception& error) {
        std::cerr << "image_server: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
