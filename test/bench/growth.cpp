// How the cost of an empty call grows with the number of threads and with the length of the queue.

#include "bench/peers.hpp"

#include <cstddef>
#include <future>
#include <vector>

namespace {

using namespace bench;

template <class Pool>
double submit_and_read(Pool& pool, std::size_t count) {
    return time_per_operation(count, [&] {
        std::vector<decltype(pool.submit([] {}))> futures;
        futures.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            futures.push_back(pool.submit([] {}));
        }
        for (auto& future : futures) {
            read(future);
        }
    });
}

// All calls wait in the queue before the first of them runs.
template <class Pool>
double through_the_queue(std::size_t count) {
    Pool pool(1);
    std::promise<void> open;
    auto blocked = pool.submit([future = open.get_future().share()] { future.wait(); });
    return time_per_operation(count, [&] {
        std::vector<decltype(pool.submit([] {}))> futures;
        futures.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            futures.push_back(pool.submit([] {}));
        }
        open.set_value();
        for (auto& future : futures) {
            read(future);
        }
        read(blocked);
    });
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](const Options& options, Report& report) {
        const std::size_t count = options.operations(100'000);
        for (int threads = 1; threads <= 64; threads *= 2) {
            std::vector<Contender> contenders;
            FuturePools::append(contenders, [&]<class Pool>() {
                return Contender{Pool::name, [=] {
                                     Pool pool(threads);
                                     return submit_and_read(pool, count);
                                 }};
            });
            report.compare(
                {.title = "an empty task, result read, by number of threads",
                 .seconds = 1,
                 .x_label = "threads",
                 .x = static_cast<double>(threads)},
                contenders
            );
        }

        const std::size_t longest = options.quick ? 10'000 : 10'000'000;
        for (std::size_t length = 1'000; length <= longest; length *= 10) {
            std::vector<Contender> contenders;
            FuturePools::append(contenders, [&]<class Pool>() {
                return Contender{Pool::name, [=] {
                                     return through_the_queue<Pool>(length);
                                 }};
            });
            report.compare(
                {.title = "an empty task, result read, by length of the queue",
                 .seconds = 1,
                 .rounds = length > 1'000'000 ? std::size_t{1} : std::size_t{3},
                 .x_label = "tasks in the queue",
                 .x = static_cast<double>(length)},
                contenders
            );
        }
    });
}
