// A worker process is killed in the middle of a task. The program lives on, each future says which
// process ended, how, and what it was doing, and a new pool takes the work.

#include <cofutures/process_pool_executor.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// Ends as a process does when the system runs out of memory.
std::size_t load(const std::string& file) {
    if (file == "huge.bin") {
        std::raise(SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    return file.size();
}

struct Outcome {
    int loaded = 0;
    int lost = 0;
    bool explained = true;
};

Outcome load_all(const std::vector<std::string>& files) {
    cofutures::ProcessPoolExecutor pool(2);
    std::vector<cofutures::Future<std::size_t>> futures;
    for (const std::string& file : files) {
        // Named at compile time, so that messages can name it.
        futures.push_back(pool.submit<&load>(file));
    }
    Outcome outcome;
    for (std::size_t i = 0; i < files.size(); ++i) {
        std::cout << files[i] << ": ";
        try {
            std::cout << futures[i].result() << " bytes\n";
            ++outcome.loaded;
        } catch (const cofutures::BrokenProcessPool& error) {
            const cofutures::WorkerExit& worker = error.worker();
            std::cout << "pid " << worker.pid << ", signal " << worker.signal.value_or(0)
                      << ", task " << worker.task << "\n    " << error.what() << '\n';
            ++outcome.lost;
            outcome.explained = outcome.explained && worker.pid > 0 && worker.signal == SIGKILL &&
                                worker.task.find("load") != std::string::npos;
        }
    }
    return outcome;
}

}  // namespace

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);

    auto start = Clock::now();
    const Outcome first = load_all({"a.bin", "b.bin", "huge.bin", "c.bin"});
    std::cout << "the pool broke; noticed and told in "
              << Milliseconds(Clock::now() - start).count() << " ms\n\n";

    start = Clock::now();
    const Outcome second = load_all({"a.bin", "b.bin", "c.bin"});
    std::cout << "a new pool, without that file: " << Milliseconds(Clock::now() - start).count()
              << " ms\n";
    return first.lost >= 1 && first.explained && second.loaded == 3 ? EXIT_SUCCESS : EXIT_FAILURE;
}
