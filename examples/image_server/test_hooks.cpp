#include "test_hooks.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <thread>
#include <vector>

namespace image_server {

namespace {

[[noreturn]] void spin() {
    for (;;) {
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
}

void hold(const std::filesystem::path& file) {
    while (std::filesystem::exists(file)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

void eat_memory() {
    constexpr std::size_t mouthful = std::size_t{16} << 20U;
    constexpr std::size_t enough = std::size_t{2} << 30U;
    std::vector<Bytes> eaten;
    while (eaten.size() * mouthful < enough) {
        eaten.emplace_back(mouthful, std::uint8_t{1});
    }
}

}  // namespace

void obey_test_hook(BytesView upload) {
    std::string_view order(reinterpret_cast<const char*>(upload.data()), upload.size());
    if (!order.starts_with(test_hook_prefix)) {
        return;
    }
    order.remove_prefix(test_hook_prefix.size());
    if (order == "crash") {
        std::raise(SIGSEGV);
    } else if (order == "exit") {
        std::exit(3);  // NOLINT(concurrency-mt-unsafe): a worker has one thread for tasks
    } else if (order == "eat") {
        eat_memory();
    } else if (order == "spin") {
        spin();
    } else if (order.starts_with("hold ")) {
        hold(order.substr(5));
    }
}

}  // namespace image_server
