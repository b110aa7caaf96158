// What can go wrong with a call and how its future tells: exceptions from threads and from
// processes, waits that run out of time, calls that are cancelled, stopped, or come after the end.

#include <cofutures/process_pool_executor.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <latch>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace app {

class ParseError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

int parse(const std::string& text) {
    if (text.empty()) {
        throw std::invalid_argument("nothing to parse");  // a type of the standard library's
    }
    if (text.find_first_not_of("0123456789") != std::string::npos) {
        throw ParseError("\"" + text + "\" is no number");  // a type of our own
    }
    return std::stoi(text);
}

}  // namespace app

namespace {

using namespace std::chrono_literals;

int failures = 0;

void check(bool as_expected) {
    failures += as_expected ? 0 : 1;
}

// Prints the error that a call throws.
template <class Error, class Call>
void expect(const char* name, Call call) {
    try {
        call();
        std::cout << "    no " << name << "?\n";
        check(false);
    } catch (const Error& error) {
        std::cout << "    " << name << ": " << error.what() << '\n';
    }
}

void exceptions(cofutures::ThreadPoolExecutor& threads, cofutures::ProcessPoolExecutor& processes) {
    std::cout << "a thread throws: it is the same exception object\n";
    const auto in_thread = threads.submit(app::parse, "12a");
    expect<app::ParseError>("app::ParseError", [&] { in_thread.result(); });

    std::cout
        << "a process throws: standard types come back as themselves, others as RemoteError\n";
    const auto standard = processes.submit(app::parse, "");
    expect<std::invalid_argument>("std::invalid_argument", [&] { standard.result(); });
    const auto own = processes.submit(app::parse, "12a");
    expect<cofutures::RemoteError>("RemoteError", [&] { own.result(); });
    try {
        own.result();
    } catch (const cofutures::RemoteError& error) {
        std::cout << "    it was " << error.type_name() << "; from where:\n"
                  << error.remote_trace() << '\n';
        check(error.type_name() == "app::ParseError");
    }

    std::cout << "or_else() puts a value in its place\n";
    const auto mended = own.or_else([](const std::exception_ptr&) { return -1; });
    std::cout << "    " << mended.result() << '\n';
    check(mended.result() == -1);
}

void timeouts(cofutures::ThreadPoolExecutor& threads) {
    std::cout << "a wait runs out of time, the call does not\n";
    const auto slow = threads.submit([](const std::stop_token& stop) {
        int rounds = 0;
        while (!stop.stop_requested()) {
            std::this_thread::sleep_for(10ms);
            ++rounds;
        }
        return rounds;
    });
    expect<cofutures::TimeoutError>("TimeoutError", [&] { slow.result(100ms); });
    check(slow.running());

    std::cout << "a running call cannot be cancelled, but asked to stop\n";
    std::cout << "    cancel(): " << std::boolalpha << slow.cancel();
    std::cout << ", request_stop(): " << slow.request_stop() << ", it returned " << slow.result()
              << '\n';
}

void cancelling() {
    std::cout << "what has not begun can be cancelled\n";
    cofutures::ThreadPoolExecutor pool(1);
    std::latch begun(1);
    std::latch go(1);
    const auto running = pool.submit([&] {
        begun.count_down();
        go.wait();
    });
    begun.wait();
    const auto waiting = pool.submit([] { return 1; });
    std::cout << "    cancel(): " << waiting.cancel() << ", " << waiting << '\n';
    expect<cofutures::CancelledError>("CancelledError", [&] { waiting.result(); });

    std::cout << "shutdown(wait, cancel_futures) cancels all of it\n";
    std::vector<cofutures::Future<void>> queue;
    for (int i = 0; i < 5; ++i) {
        queue.push_back(pool.submit([] {}));
    }
    pool.shutdown(/*wait=*/false, /*cancel_futures=*/true);
    int cancelled = 0;
    for (const auto& future : queue) {
        cancelled += future.cancelled() ? 1 : 0;
    }
    go.count_down();
    running.result();  // it had begun, so it ends well
    std::cout << "    " << cancelled << " of 5 were cancelled, and what ran went on: " << running
              << '\n';
    check(cancelled == 5);

    expect<cofutures::ShutdownError>("ShutdownError", [&] { pool.submit([] {}); });
}

}  // namespace

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);

    const auto start = std::chrono::steady_clock::now();
    cofutures::ThreadPoolExecutor threads;
    cofutures::ProcessPoolExecutor processes(1);
    exceptions(threads, processes);
    timeouts(threads);
    cancelling();
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start;
    std::cout << "took " << spent.count() << " ms\n";
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
