// Tasks that take 1, 10 and 100 us of a processor: what is added to the work itself.

#include "bench/peers.hpp"

#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

namespace {

using namespace bench;

void work(std::chrono::nanoseconds length) {
    const auto end = Clock::now() + length;
    while (Clock::now() < end) {
    }
}

// The work alone, spread over threads by hand.
double alone(std::chrono::nanoseconds length, std::size_t count) {
    const auto threads = static_cast<std::size_t>(workers());
    return time_per_operation(count / threads * threads, [&] {
        std::vector<std::thread> all;
        for (std::size_t t = 0; t < threads; ++t) {
            all.emplace_back([&] {
                for (std::size_t i = 0; i < count / threads; ++i) {
                    work(length);
                }
            });
        }
        for (std::thread& thread : all) {
            thread.join();
        }
    });
}

template <class Pool>
double in_tasks(std::chrono::nanoseconds length, std::size_t count) {
    Pool pool(workers());
    return time_per_operation(count, [&] {
        std::vector<decltype(pool.submit([length] { work(length); }))> futures;
        futures.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            futures.push_back(pool.submit([length] { work(length); }));
        }
        for (auto& future : futures) {
            read(future);
        }
    });
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](const Options& options, Report& report) {
        for (const int microseconds : {1, 10, 100}) {
            const std::chrono::microseconds length(microseconds);
            const std::size_t count =
                options.operations(200'000 / static_cast<std::size_t>(microseconds)) + 10;
            std::vector<Contender> contenders = {{"the work alone, split by hand", [=] {
                                                      return alone(length, count);
                                                  }}};
            FuturePools::append(contenders, [&]<class Pool>() {
                return Contender{Pool::name, [=] {
                                     return in_tasks<Pool>(length, count);
                                 }};
            });
            contenders.push_back({StdAsync::name, [=] {
                                      return in_tasks<StdAsync>(length, count / 20 + 10);
                                  }});
            report.compare(
                {.title = "a task of some length",
                 .seconds = 2,
                 .x_label = "us of work",
                 .x = static_cast<double>(microseconds)},
                contenders
            );
        }
    });
}
