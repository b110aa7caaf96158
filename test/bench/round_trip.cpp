// From submit() until the result is read, one call at a time: at once again, and when the pool has
// had a millisecond to fall asleep.

#include "bench/peers.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace {

using namespace bench;

template <class Pool>
double hot(Pool& pool, std::size_t count) {
    return time_per_operation(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            auto future = pool.submit([] { return 1; });
            keep(read(future));
        }
    });
}

// The time of the calls alone.
template <class Pool>
double after_idling(Pool& pool, std::size_t count) {
    double spent = 0;
    for (std::size_t i = 0; i < count; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        spent += hot(pool, 1);
    }
    return spent / static_cast<double>(count);
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](const Options& options, Report& report) {
        const std::size_t some = options.operations(10'000);
        const std::size_t few = options.operations(100);

        std::vector<Contender> hot_pools;
        FuturePools::append(hot_pools, [&]<class Pool>() {
            return Contender{Pool::name, [some, pool = std::make_shared<Pool>(workers())] {
                                 return hot(*pool, some);
                             }};
        });
        hot_pools.push_back({StdAsync::name, [some] {
                                 StdAsync pool(workers());
                                 return hot(pool, some / 10 + 1);
                             }});
        append_python(hot_pools, "Python ThreadPoolExecutor", "thread_round_trip", some, workers());
        report.compare({.title = "round trip, one call at a time"}, hot_pools);

        std::vector<Contender> cold_pools;
        FuturePools::append(cold_pools, [&]<class Pool>() {
            return Contender{Pool::name, [few, pool = std::make_shared<Pool>(workers())] {
                                 return after_idling(*pool, few);
                             }};
        });
        report.compare({.title = "round trip after 1 ms without work"}, cold_pools);
    });
}
