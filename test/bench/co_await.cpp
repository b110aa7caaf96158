// What a coroutine on an io_context pays for a call on a pool of threads and back: a future that is
// awaited, beside hopping over by hand and beside a coroutine that is spawned there.

#include "bench/harness.hpp"

#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <exception>
#include <stdexcept>

namespace {

namespace asio = boost::asio;

constexpr int threads = 2;

// Runs a coroutine on a context that this thread runs, and gives the nanoseconds of one of the
// `count` operations that it does.
template <class Coroutine>
double time_coroutine(std::size_t count, Coroutine coroutine) {
    asio::io_context context(1);
    std::size_t sum = 0;
    const double time = bench::time_per_operation(count, [&] {
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                for (std::size_t i = 0; i < count; ++i) {
                    sum += co_await coroutine(context);
                }
            },
            [](const std::exception_ptr& error) {
                if (error) {
                    std::rethrow_exception(error);
                }
            }
        );
        context.run();
    });
    if (sum != count) {
        throw std::logic_error("a call got lost");
    }
    return time;
}

double hop(asio::thread_pool& pool, std::size_t count) {
    return time_coroutine(count, [&](asio::io_context& context) -> asio::awaitable<std::size_t> {
        co_await asio::post(asio::bind_executor(pool, asio::use_awaitable));
        const std::size_t one = 1;
        co_await asio::post(asio::bind_executor(context, asio::use_awaitable));
        co_return one;
    });
}

double spawn(asio::thread_pool& pool, std::size_t count) {
    return time_coroutine(count, [&](asio::io_context&) -> asio::awaitable<std::size_t> {
        const auto call = []() -> asio::awaitable<std::size_t> {
            co_return 1;
        };
        co_return co_await asio::co_spawn(pool, call, asio::use_awaitable);
    });
}

double submit(cofutures::ThreadPoolExecutor& pool, std::size_t count) {
    return time_coroutine(count, [&](asio::io_context&) -> asio::awaitable<std::size_t> {
        co_return co_await pool.submit([] { return std::size_t(1); });
    });
}

double submit_coroutine(cofutures::ThreadPoolExecutor& pool, std::size_t count) {
    return time_coroutine(count, [&](asio::io_context&) -> asio::awaitable<std::size_t> {
        const auto call = []() -> asio::awaitable<std::size_t> {
            co_return 1;
        };
        co_return co_await pool.submit(call);
    });
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run(argc, argv, [](const bench::Options& options, bench::Report& report) {
        const std::size_t count = options.operations(10'000);
        asio::thread_pool asio_pool(threads);
        cofutures::ThreadPoolExecutor pool(threads);
        cofutures::ThreadPoolExecutor coroutine_pool(threads);
        report.compare(
            "from a coroutine on an io_context to a pool and back",
            6,
            {
                {"asio::post there and back, by hand",
                 [&] {
                     return hop(asio_pool, count);
                 }},
                {"co_await asio::co_spawn(pool)",
                 [&] {
                     return spawn(asio_pool, count);
                 }},
                {"co_await pool.submit(function)",
                 [&] {
                     return submit(pool, count);
                 }},
                {"co_await pool.submit(coroutine)",
                 [&] {
                     return submit_coroutine(coroutine_pool, count);
                 }},
            }
        );
    });
}
