// What an empty call costs: submitted by one thread, by as many threads as there are workers, and
// from inside tasks; with its future read, and with nothing given back.

#include "bench/peers.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace bench;

struct Nothing {
    void operator()() const noexcept {}
};

template <class Pool>
void submit_and_read(Pool& pool, std::size_t count) {
    std::vector<decltype(pool.submit(Nothing{}))> futures;
    futures.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        futures.push_back(pool.submit(Nothing{}));
    }
    for (auto& future : futures) {
        read(future);
    }
}

template <class Pool>
double read_one_producer(std::size_t count) {
    Pool pool(workers());
    return time_per_operation(count, [&] { submit_and_read(pool, count); });
}

template <class Pool>
double read_many_producers(std::size_t count) {
    Pool pool(workers());
    const auto producers = static_cast<std::size_t>(workers());
    return time_per_operation(count / producers * producers, [&] {
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < producers; ++i) {
            threads.emplace_back([&] { submit_and_read(pool, count / producers); });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
    });
}

template <class Pool>
double post_one_producer(std::size_t count) {
    Countdown left(count);
    Pool pool(workers());
    return time_per_operation(count, [&] {
        for (std::size_t i = 0; i < count; ++i) {
            pool.post([&left] { left.count(); });
        }
        left.wait();
    });
}

// One task for each worker posts its share of the others.
template <class Pool>
double post_from_inside(std::size_t count) {
    const auto producers = static_cast<std::size_t>(workers());
    const std::size_t each = count / producers;
    Countdown left(each * producers);
    Pool pool(workers());
    return time_per_operation(each * producers, [&] {
        for (std::size_t i = 0; i < producers; ++i) {
            pool.post([&pool, &left, each] {
                for (std::size_t task = 0; task < each; ++task) {
                    pool.post([&left] { left.count(); });
                }
            });
        }
        left.wait();
    });
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](const Options& options, Report& report) {
        const std::size_t many = options.operations(200'000);
        const std::size_t few = options.operations(4'000);

        std::vector<Contender> posting;
        PostingPools::append(posting, [&]<class Pool>() {
            return Contender{Pool::name, [many] {
                                 return post_one_producer<Pool>(many);
                             }};
        });
        report.compare({.title = "an empty task, no result, one producer"}, posting);

        std::vector<Contender> reading = {{"asio::post, no result", [many] {
                                               return post_one_producer<AsioPost>(many);
                                           }}};
        FuturePools::append(reading, [&]<class Pool>() {
            return Contender{Pool::name, [many] {
                                 return read_one_producer<Pool>(many);
                             }};
        });
        // A thread for each call: fewer of them show as much.
        reading.push_back({StdAsync::name, [few] {
                               return read_one_producer<StdAsync>(few);
                           }});
        append_python(reading, "Python ThreadPoolExecutor", "thread_submit", few * 5, workers());
        report.compare({.title = "an empty task, result read, one producer"}, reading);

        std::vector<Contender> producers;
        FuturePools::append(producers, [&]<class Pool>() {
            return Contender{Pool::name, [many] {
                                 return read_many_producers<Pool>(many);
                             }};
        });
        report.compare(
            {.title = "an empty task, result read, as many producers as workers"}, producers
        );

        std::vector<Contender> inside;
        PostingPools::append(inside, [&]<class Pool>() {
            return Contender{Pool::name, [many] {
                                 return post_from_inside<Pool>(many);
                             }};
        });
        report.compare({.title = "an empty task, no result, submitted inside tasks"}, inside);
    });
}
