// Who gives up, and on what: a wait that runs out of time, a call that is cancelled with the wait
// for it, a coroutine on a pool that is asked to stop.

#include <cofutures/cancel_on_abort.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stop_token>
#include <thread>

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

// Works until it is asked to stop, and tells how often it looked.
int search(const std::stop_token& stop) {
    int rounds = 0;
    while (!stop.stop_requested()) {
        std::this_thread::sleep_for(5ms);
        ++rounds;
    }
    return rounds;
}

asio::awaitable<void> give_up_waiting(cofutures::ThreadPoolExecutor& pool) {
    std::cout << "the wait runs out of time, the call goes on\n";
    const auto found = pool.submit(search);
    bool timed_out = false;
    try {
        co_await found.async_result_for(30ms);
    } catch (const cofutures::TimeoutError& error) {
        std::cout << "    TimeoutError: " << error.what() << '\n';
        timed_out = true;
    }
    check(timed_out && found.running());
    found.request_stop();
    std::cout << "    asked to stop it gave " << co_await found << '\n';
}

asio::awaitable<void> give_up_the_call(cofutures::ThreadPoolExecutor& pool) {
    using namespace asio::experimental::awaitable_operators;
    std::cout << "the call is given up with the wait\n";
    const auto found = pool.submit(search);
    asio::steady_timer timer(co_await asio::this_coro::executor, 30ms);
    // `||` cancels the loser. A future would only stop waiting; cancel_on_abort tells the call.
    const auto winner = co_await (
        cofutures::cancel_on_abort(found)(asio::use_awaitable) ||
        timer.async_wait(asio::use_awaitable)
    );
    std::cout << "    " << (winner.index() == 1 ? "the timer was first" : "it was found") << '\n';
    check(winner.index() == 1);
    const int rounds = co_await found;  // it ends soon, as nobody else would have asked
    check(rounds > 0);
}

asio::awaitable<void> stop_a_coroutine(cofutures::ThreadPoolExecutor& pool) {
    std::cout << "a coroutine on the pool hears of it in what it awaits\n";
    const auto naps = pool.submit([]() -> asio::awaitable<void> {
        asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
        co_await timer.async_wait(asio::use_awaitable);
    });
    try {
        co_await naps.async_result_for(20ms);
    } catch (const cofutures::TimeoutError&) {
        naps.request_stop();
    }
    co_await naps.async_wait();
    std::cout << "    " << naps << '\n';
    bool aborted = false;
    try {
        naps.result();
    } catch (const boost::system::system_error& error) {
        aborted = error.code() == asio::error::operation_aborted;
    }
    check(aborted);
}

asio::awaitable<void> all_of_it(cofutures::ThreadPoolExecutor& pool) {
    co_await give_up_waiting(pool);
    co_await give_up_the_call(pool);
    co_await stop_a_coroutine(pool);
}

}  // namespace

int main() {
    cofutures::ThreadPoolExecutor pool(2);
    asio::io_context io(1);
    asio::co_spawn(io, all_of_it(pool), [](const std::exception_ptr& error) {
        if (error) {
            std::rethrow_exception(error);
        }
    });
    io.run();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
