// What can be done with a future without waiting for it: callbacks, also on an event loop, chains
// of calls, and futures of what Asio's own operations give.

#include <cofutures/as_future.hpp>
#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/when_all.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
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

std::string read_file(const std::string& name) {
    std::this_thread::sleep_for(20ms);
    if (name.empty()) {
        throw std::invalid_argument("a file without a name");
    }
    return "contents of " + name;
}

void on_the_event_loop(cofutures::ThreadPoolExecutor& pool) {
    std::cout << "a callback on the event loop's own thread\n";
    asio::io_context io;
    const auto contents = pool.submit(read_file, "a.txt");
    bool called = false;
    // Without the executor it would run on the thread that ends the future. With it io.run() has
    // something to wait for, and nothing in the callback needs a lock.
    contents.add_done_callback(io.get_executor(), [&](const cofutures::Future<std::string>& done) {
        std::cout << "    " << done.result() << '\n';
        called = io.get_executor().running_in_this_thread();
    });
    io.run();
    check(called);
}

void chains(cofutures::ThreadPoolExecutor& pool) {
    std::cout << "a chain: each link gets the value of the one before\n";
    const auto length = pool.submit(read_file, "b.txt")
                            .then([](const std::string& text) { return text.size(); })
                            .then([](std::size_t size) { return 2 * size; });
    std::cout << "    " << length.result() << '\n';
    check(length.result() == 34);

    std::cout << "an error passes by all links that ask for a value\n";
    const auto mended = pool.submit(read_file, "")
                            .then([](const std::string& text) { return text + " and more"; })
                            .or_else([](const std::exception_ptr& error) {
                                try {
                                    std::rethrow_exception(error);
                                } catch (const std::exception& exception) {
                                    return std::string("nothing: ") + exception.what();
                                }
                            });
    std::cout << "    " << mended.result() << '\n';
    check(mended.result() == "nothing: a file without a name");
}

void futures_of_operations(cofutures::ThreadPoolExecutor& pool) {
    std::cout << "a timer is a future too, and goes with others\n";
    // The pool's threads run it: nobody has to call run().
    asio::steady_timer timer(pool.get_executor(), 30ms);
    const cofutures::Future<void> tick = timer.async_wait(cofutures::as_future);
    const auto both = cofutures::when_all(tick, pool.submit(read_file, "c.txt"));
    both.result();
    std::cout << "    " << tick << '\n';
    check(tick.exception() == nullptr);
}

}  // namespace

int main() {
    cofutures::ThreadPoolExecutor pool(2);
    on_the_event_loop(pool);
    chains(pool);
    futures_of_operations(pool);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
