#include "test_hooks.hpp"

#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace image_server {

namespace {

void spin(std::string_view milliseconds) {
    std::int64_t count = 0;
    std::from_chars(milliseconds.data(), milliseconds.data() + milliseconds.size(), count);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(count);
    while (count == 0 || std::chrono::steady_clock::now() < end) {
        std::atomic_signal_fence(std::memory_order_seq_cst);
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
    } else if (order.starts_with("spin")) {
        order.remove_prefix(4);
        order.remove_prefix(order.starts_with(' ') ? 1 : 0);
        spin(order);
    }
}

}  // namespace image_server
