#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

namespace image_server {

/// What the command line can say.
struct Options {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::optional<int> workers = std::nullopt;  ///< default: one for each processor
    int threads = 2;
    std::size_t max_queue = 64;
    std::size_t max_connections = 2000;
    std::uint64_t max_body = std::uint64_t{10} << 20U;
    std::uint64_t upload_memory = std::uint64_t{256} << 20U;  ///< for all uploads together
    std::uint64_t max_pixels = 32'000'000;
    std::uint64_t memory_limit = std::uint64_t{512} << 20U;  ///< 0 for none
    std::chrono::milliseconds task_timeout = std::chrono::seconds(5);
    std::chrono::milliseconds request_timeout = std::chrono::seconds(30);
    std::chrono::milliseconds idle_timeout = std::chrono::seconds(30);
    std::chrono::milliseconds drain_time = std::chrono::seconds(10);
    bool test_hooks = false;
};

/// Reads the command line.
///
/// @param help  Where the text goes that --help asks for.
/// @returns Nothing after --help.
/// @throws std::exception  for what cannot be understood, with a message for the user.
[[nodiscard]] std::optional<Options> parse_options(int argc, char** argv, std::ostream& help);

}  // namespace image_server
