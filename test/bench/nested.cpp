// Tasks that submit tasks and wait for them, without a cut-off: what a call of fib costs. A pool
// whose waits block has no threads left for this; task_group and ours run what they wait for.

#include "bench/peers.hpp"

#ifdef COFUTURES_BENCH_TBB
#    include <oneapi/tbb/task_group.h>
#endif

#include <cstddef>
#include <vector>

namespace {

using namespace bench;

int calls_of(int n) {
    return n < 2 ? 1 : 1 + calls_of(n - 1) + calls_of(n - 2);
}

int fib(cofutures::ThreadPoolExecutor& pool, int n) {
    if (n < 2) {
        return n;
    }
    auto one = pool.submit([&pool, n] { return fib(pool, n - 1); });
    const int other = fib(pool, n - 2);
    return one.result() + other;
}

double in_futures(int n) {
    cofutures::ThreadPoolExecutor pool(workers());
    return time_per_operation(static_cast<std::size_t>(calls_of(n)), [&] {
        keep(pool.submit([&pool, n] { return fib(pool, n); }).result());
    });
}

#ifdef COFUTURES_BENCH_TBB
int fib_in_group(int n) {
    if (n < 2) {
        return n;
    }
    int one = 0;
    oneapi::tbb::task_group group;
    group.run([&one, n] { one = fib_in_group(n - 1); });
    const int other = fib_in_group(n - 2);
    group.wait();
    return one + other;
}

double in_groups(int n) {
    oneapi::tbb::task_arena arena(workers());
    return time_per_operation(static_cast<std::size_t>(calls_of(n)), [&] {
        keep(arena.execute([n] { return fib_in_group(n); }));
    });
}
#endif

int fib_in_threads(int n) {
    if (n < 2) {
        return n;
    }
    auto one = std::async(std::launch::async, [n] { return fib_in_threads(n - 1); });
    const int other = fib_in_threads(n - 2);
    return one.get() + other;
}

double in_threads(int n) {
    return time_per_operation(static_cast<std::size_t>(calls_of(n)), [&] {
        keep(fib_in_threads(n));
    });
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](const Options& options, Report& report) {
        const int n = options.quick ? 12 : 20;
        std::vector<Contender> contenders;
#ifdef COFUTURES_BENCH_TBB
        contenders.push_back({"tbb::task_group", [n] {
                                  return in_groups(n);
                              }});
#endif
        contenders.push_back({"cofutures: submit, result()", [n] {
                                  return in_futures(n);
                              }});
        contenders.push_back({"std::async, a thread for each (fib(12))", [] {
                                  return in_threads(12);
                              }});
        report.compare({.title = "fib(20) of tasks that wait for tasks, each call"}, contenders);
    });
}
