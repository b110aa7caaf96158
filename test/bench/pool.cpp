// What a pool costs as such: to make it and end it, while nothing happens, and for each task that
// waits in its queue.

#include "bench/peers.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <malloc.h>
#include <sys/resource.h>

namespace {

using namespace bench;

// A pool that has used each of its threads.
template <class Pool>
void start_and_stop() {
    Pool pool(workers());
    std::vector<decltype(pool.submit([] {}))> futures;
    for (int i = 0; i < workers(); ++i) {
        futures.push_back(pool.submit([] {}));
    }
    for (auto& future : futures) {
        read(future);
    }
}

void start_and_join_threads() {
    std::vector<std::thread> threads;
    for (int i = 0; i < workers(); ++i) {
        threads.emplace_back([] {});
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

double processor_microseconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto total = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    };
    return total(usage.ru_utime) + total(usage.ru_stime);
}

// Of a pool that has worked, while nobody asks it for anything; the time until it rests is in it.
template <class Pool>
double while_idle(std::chrono::milliseconds length) {
    Pool pool(workers());
    std::vector<decltype(pool.submit([] {}))> futures;
    for (int i = 0; i < 1000; ++i) {
        futures.push_back(pool.submit([] {}));
    }
    for (auto& future : futures) {
        read(future);
    }
    const double before = processor_microseconds();
    std::this_thread::sleep_for(length);
    return (processor_microseconds() - before) / std::chrono::duration<double>(length).count();
}

// What the allocator holds for each pending call, its own overhead too.
template <class Pool>
double bytes_per_task(std::size_t count) {
    Pool pool(1);
    std::promise<void> open;
    std::promise<void> begun;
    auto blocked = pool.submit([&] {
        begun.set_value();
        open.get_future().wait();
    });
    begun.get_future().wait();
    std::vector<decltype(pool.submit([] { return 1; }))> futures;
    futures.reserve(count);
    const auto before = mallinfo2();
    for (std::size_t i = 0; i < count; ++i) {
        futures.push_back(pool.submit([] { return 1; }));
    }
    const auto after = mallinfo2();
    open.set_value();
    for (auto& future : futures) {
        read(future);
    }
    read(blocked);
    const double used = static_cast<double>(after.uordblks) + static_cast<double>(after.hblkhd) -
                        static_cast<double>(before.uordblks) - static_cast<double>(before.hblkhd);
    return used / static_cast<double>(count);
}

}  // namespace

int main(int argc, char** argv) {
    // One arena, so that mallinfo2 sees what every thread allocates.
    mallopt(M_ARENA_MAX, 1);

    return run(argc, argv, [](const Options& options, Report& report) {
        const std::size_t pools = options.operations(500);
        std::vector<Contender> lives = {{"the threads alone", [pools] {
                                             return time_per_operation(pools, [&] {
                                                 for (std::size_t i = 0; i < pools; ++i) {
                                                     start_and_join_threads();
                                                 }
                                             });
                                         }}};
        FuturePools::append(lives, [&]<class Pool>() {
            return Contender{Pool::name, [pools] {
                                 return time_per_operation(pools, [&] {
                                     for (std::size_t i = 0; i < pools; ++i) {
                                         start_and_stop<Pool>();
                                     }
                                 });
                             }};
        });
        append_python(
            lives, "Python ThreadPoolExecutor", "thread_start_and_stop", pools, workers()
        );
        report.compare({.title = "a pool made, used once by each thread, and ended"}, lives);

        const std::chrono::milliseconds second(options.quick ? 50 : 1000);
        std::vector<Contender> idle;
        FuturePools::append(idle, [&]<class Pool>() {
            return Contender{Pool::name, [second] {
                                 return while_idle<Pool>(second);
                             }};
        });
        report.compare(
            {.title = "processor time of a pool without work, in a second",
             .seconds = 1,
             .rounds = 3,
             .unit = "us"},
            idle
        );

        const std::size_t pending = options.operations(100'000);
        std::vector<Contender> bytes;
        FuturePools::append(bytes, [&]<class Pool>() {
            return Contender{Pool::name, [pending] {
                                 return bytes_per_task<Pool>(pending);
                             }};
        });
        report.compare(
            {.title = "memory of a pending task and its future", .seconds = 0, .unit = "bytes"},
            bytes
        );
    });
}
