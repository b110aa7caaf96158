// More work than can be done: a bounded queue slows down who submits, instead of filling the
// memory. Blocking, refusing, trying, and waiting in a coroutine without blocking a thread.

#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

int failures = 0;

void check(bool right) {
    if (!right) {
        std::cout << "    WRONG\n";
        ++failures;
    }
}

int resize_image(int number) {
    std::this_thread::sleep_for(2ms);
    return number;
}

void blocking() {
    std::cout << "submit() waits while the queue is full\n";
    cofutures::ThreadPoolExecutor pool({.max_workers = 2, .max_queue = 4});
    std::size_t longest = 0;
    for (int i = 0; i < 50; ++i) {
        pool.submit(resize_image, i);
        longest = std::max(longest, pool.stats().queued);
    }
    std::cout << "    of 50 images at most " << longest << " were queued\n";
    check(longest <= 4);
}

void refusing() {
    std::cout << "or refuses, for servers that would rather say no than be late\n";
    cofutures::ThreadPoolExecutor pool(
        {.max_workers = 1, .max_queue = 2, .on_full = cofutures::OnFull::reject}
    );
    int refused = 0;
    for (int i = 0; i < 20; ++i) {
        try {
            pool.submit(resize_image, i);
        } catch (const cofutures::QueueFullError&) {
            ++refused;
        }
    }
    std::cout << "    QueueFullError: " << refused << " of 20\n";
    check(refused > 0);
    // Asked politely, it gives an empty optional.
    while (pool.try_submit(resize_image, 1)) {
    }
    std::cout << "    try_submit() found no room\n";
}

// The event loop's thread is never blocked: the coroutine waits for room.
asio::awaitable<void> produce(cofutures::ThreadPoolExecutor& pool, int& sum) {
    std::vector<cofutures::Future<int>> images;
    for (int i = 1; i <= 20; ++i) {
        images.push_back(co_await pool.async_submit(asio::use_awaitable, resize_image, i));
    }
    for (const auto& image : images) {
        sum += co_await image;
    }
}

void waiting_in_a_coroutine() {
    std::cout << "async_submit() waits without blocking\n";
    cofutures::ThreadPoolExecutor pool({.max_workers = 2, .max_queue = 4});
    asio::io_context io(1);
    int sum = 0;
    asio::co_spawn(io, produce(pool, sum), [](const std::exception_ptr& error) {
        if (error) {
            std::rethrow_exception(error);
        }
    });
    io.run();
    std::cout << "    the sum is " << sum << '\n';
    check(sum == 210);
}

void endless_input() {
    std::cout << "map() with a buffer reads no further ahead than that\n";
    cofutures::ThreadPoolExecutor pool(2);
    std::vector<int> numbers(1000);
    int sum = 0;
    for (const int number : pool.map(
             {.buffersize = 8}, [](int n) { return n + 1; }, numbers
         )) {
        sum += number;
    }
    std::cout << "    the sum is " << sum << '\n';
    check(sum == 1000);
}

}  // namespace

int main() {
    blocking();
    refusing();
    waiting_in_a_coroutine();
    endless_input();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
