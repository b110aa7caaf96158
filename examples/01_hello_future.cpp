// Gives calls to a pool of threads and gets at what they return in three ways: by waiting for it,
// in a callback, and through a chain of functions.

#include <cofutures/thread_pool_executor.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <syncstream>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// A call that takes its time, as reading a file or asking a server does.
std::string greet(const std::string& name) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return "Hello, " + name + "!";
}

}  // namespace

int main() {
    const auto start = Clock::now();
    cofutures::ThreadPoolExecutor pool(3);

    // submit() does not wait: three calls are under way at once.
    const auto ada = pool.submit(greet, "Ada");
    const auto grace = pool.submit(greet, "Grace");
    const auto tony = pool.submit(greet, "Tony");
    std::osyncstream(std::cout) << "submitted after " << Milliseconds(Clock::now() - start).count()
                                << " ms: " << ada << '\n';

    // A callback runs on the thread that ends the future.
    grace.add_done_callback([](const cofutures::Future<std::string>& done) {
        std::osyncstream(std::cout) << "callback:  " << done.result() << '\n';
    });

    // A chain makes a new future; it is done when its function has returned.
    const auto length = tony.then([](const std::string& text) { return text.size(); }
    ).then([](std::size_t size) { return std::to_string(size) + " letters"; });

    std::osyncstream(std::cout) << "result():  " << ada.result() << '\n';
    std::osyncstream(std::cout) << "then():    " << tony.result() << " has " << length.result()
                                << '\n';
    pool.shutdown();  // the callback too has run when it returns

    const Milliseconds spent = Clock::now() - start;
    std::cout << "3 calls of 100 ms took " << spent.count() << " ms\n";
    return ada.result() == "Hello, Ada!" && length.result() == "12 letters" ? EXIT_SUCCESS
                                                                            : EXIT_FAILURE;
}
