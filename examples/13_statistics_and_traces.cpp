// Looking into an executor: its statistics, and a trace of its tasks that https://ui.perfetto.dev
// and Chrome's tracing show. With an argument the trace is written to that file.

#include <cofutures/chrome_trace.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

int failures = 0;

void check(bool right) {
    if (!right) {
        std::cout << "    WRONG\n";
        ++failures;
    }
}

void render(int frame) {
    std::this_thread::sleep_for(frame % 3 * 1ms);
}

void print(const cofutures::ExecutorStats& stats) {
    std::cout << "    workers " << stats.workers << ", idle " << stats.idle << ", queued "
              << stats.queued << ", running " << stats.running << "; submitted " << stats.submitted
              << ", completed " << stats.completed << ", failed " << stats.failed << ", cancelled "
              << stats.cancelled << '\n';
    check(
        stats.submitted ==
        stats.queued + stats.running + stats.completed + stats.failed + stats.cancelled
    );
}

}  // namespace

int main(int argc, char** argv) {
    const auto trace = std::make_shared<cofutures::ChromeTrace>("rendering");
    cofutures::ThreadPoolExecutor pool(
        {.max_workers = 3, .thread_name_prefix = "render", .observer = trace}
    );
    std::cout << "Thirty frames for three threads\n";
    cofutures::Future<void> last;
    for (int frame = 0; frame < 30; ++frame) {
        const std::string name = "frame " + std::to_string(frame);
        last = pool.submit({.priority = frame % 2, .name = name}, render, frame);
    }
    print(pool.stats());
    check(!last.cancel() || last.cancelled());
    pool.shutdown();
    print(pool.stats());

    std::ostringstream json;
    trace->write(json);
    std::cout << "The trace has " << json.str().size() << " bytes of JSON\n";
    check(json.str().find(R"("name":"frame 0")") != std::string::npos);
    if (argc > 1) {
        std::ofstream(argv[1]) << json.str();
        std::cout << "    written to " << argv[1] << ": open it in https://ui.perfetto.dev\n";
    }
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
