// A coroutine awaits calls on threads and in worker processes, while a timer keeps ticking on the
// same single thread: the event loop is never blocked.

#include <cofutures/process_pool_executor.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// Blocks its thread, as a database client without an asynchronous interface does.
std::string ask_database(const std::string& question) {
    std::this_thread::sleep_for(200ms);
    return "answer to " + question;
}

// Keeps a processor busy for a while.
std::uint64_t count_primes(std::uint64_t limit) {
    std::uint64_t count = 0;
    for (std::uint64_t n = 2; n < limit; ++n) {
        bool prime = true;
        for (std::uint64_t divisor = 2; prime && divisor * divisor <= n; ++divisor) {
            prime = n % divisor != 0;
        }
        count += prime ? 1 : 0;
    }
    return count;
}

struct Ticks {
    int count = 0;
    Clock::duration latest{};
    bool wanted = true;
};

asio::awaitable<void> tick(Ticks& ticks) {
    asio::steady_timer timer(co_await asio::this_coro::executor, Clock::now());
    while (ticks.wanted) {
        timer.expires_at(timer.expiry() + 50ms);
        co_await timer.async_wait(asio::use_awaitable);
        const auto late = Clock::now() - timer.expiry();
        ticks.latest = std::max(ticks.latest, late);
        ++ticks.count;
        std::cout << "    tick " << ticks.count << ", " << Milliseconds(late).count()
                  << " ms late\n";
    }
}

asio::awaitable<bool> work(
    cofutures::ThreadPoolExecutor& threads, cofutures::ProcessPoolExecutor& processes, Ticks& ticks
) {
    using namespace asio::experimental::awaitable_operators;

    // One after the other. The coroutine goes on, on its own thread, when the future is done.
    const std::string answer = co_await threads.submit(ask_database, "life");
    std::cout << "thread:  " << answer << '\n';
    const std::uint64_t primes = co_await processes.submit(count_primes, 1'000'000U);
    std::cout << "process: " << primes << " primes below a million\n";

    // Both at once: a future is an Asio operation, so Asio's own operators combine it.
    const auto question = threads.submit(ask_database, "everything");
    const auto count = processes.submit(count_primes, 500'000U);
    const auto [again, fewer] =
        co_await (question(asio::use_awaitable) && count(asio::use_awaitable));
    std::cout << "both:    " << again << ", " << fewer << " primes below half a million\n";

    ticks.wanted = false;
    co_return answer == "answer to life" && primes == 78'498 && fewer == 41'538;
}

}  // namespace

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);

    const auto start = Clock::now();
    cofutures::ThreadPoolExecutor threads;
    cofutures::ProcessPoolExecutor processes;
    asio::io_context io(1);
    Ticks ticks;
    bool right = false;
    asio::co_spawn(io, tick(ticks), asio::detached);
    asio::co_spawn(
        io,
        work(threads, processes, ticks),
        [&right](const std::exception_ptr& error, bool result) { right = !error && result; }
    );
    io.run();

    std::cout << ticks.count << " ticks in " << Milliseconds(Clock::now() - start).count()
              << " ms, the latest " << Milliseconds(ticks.latest).count() << " ms late\n";
    return right && ticks.count >= 3 ? EXIT_SUCCESS : EXIT_FAILURE;
}
