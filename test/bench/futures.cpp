// What futures cost beside running tasks: chains, and gathering very many of them.

#include "bench/peers.hpp"

#include <cofutures/as_completed.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/wait.hpp>
#include <cofutures/when_all.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace {

using namespace bench;

// Links of one chain, which runs when its promise is kept.
double chain(std::size_t links) {
    return time_per_operation(links, [&] {
        cofutures::Promise<int> promise;
        cofutures::Future<int> future = promise.get_future();
        for (std::size_t i = 0; i < links; ++i) {
            future = future.then([](int value) { return value + 1; });
        }
        promise.set_result(0);
        keep(future.result());
    });
}

#ifdef COFUTURES_BENCH_BOOST_THREAD
double chain_of_boost(std::size_t links) {
    return time_per_operation(links, [&] {
        boost::promise<int> promise;
        boost::future<int> future = promise.get_future();
        for (std::size_t i = 0; i < links; ++i) {
            future = future.then(boost::launch::sync, [](boost::future<int> value) {
                return value.get() + 1;
            });
        }
        promise.set_value(0);
        keep(future.get());
    });
}
#endif

// Submits, and hands the futures to `gather`.
template <class Gather>
double gathered(std::size_t count, Gather gather) {
    cofutures::ThreadPoolExecutor pool(workers());
    return time_per_operation(count, [&] {
        std::vector<cofutures::Future<int>> futures;
        futures.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            futures.push_back(pool.submit([] { return 1; }));
        }
        gather(futures);
    });
}

using Futures = std::vector<cofutures::Future<int>>;

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](const Options& options, Report& report) {
        for (const std::size_t links : {std::size_t{1}, std::size_t{10}, std::size_t{100}}) {
            // A short chain is measured many times.
            const std::size_t repeats = options.operations(100'000) / links + 1;
            std::vector<Contender> chains = {{"cofutures: then", [=] {
                                                  double sum = 0;
                                                  for (std::size_t i = 0; i < repeats; ++i) {
                                                      sum += chain(links);
                                                  }
                                                  return sum / static_cast<double>(repeats);
                                              }}};
#ifdef COFUTURES_BENCH_BOOST_THREAD
            chains.push_back({"boost::future: then", [=] {
                                  const std::size_t fewer = repeats / 20 + 1;
                                  double sum = 0;
                                  for (std::size_t i = 0; i < fewer; ++i) {
                                      sum += chain_of_boost(links);
                                  }
                                  return sum / static_cast<double>(fewer);
                              }});
#endif
            report.compare(
                {.title = "a link of a chain of continuations",
                 .seconds = 1,
                 .x_label = "links",
                 .x = static_cast<double>(links)},
                chains
            );
        }

        const std::size_t many = options.operations(1'000'000);
        const std::size_t some = options.operations(20'000);
        std::vector<Contender> gathering = {
            {"result() of each in the order submitted",
             [many] {
                 return gathered(many, [](const Futures& futures) {
                     for (const auto& future : futures) {
                         keep(future.result());
                     }
                 });
             }},
            {"wait",
             [many] {
                 return gathered(many, [](const Futures& futures) {
                     keep(cofutures::wait(futures).done.size());
                 });
             }},
            {"as_completed",
             [many] {
                 return gathered(many, [](const Futures& futures) {
                     for (const auto& future : cofutures::as_completed(futures)) {
                         keep(future.result());
                     }
                 });
             }},
            {"when_all",
             [many] {
                 return gathered(many, [](const Futures& futures) {
                     keep(cofutures::when_all(futures).result().size());
                 });
             }},
        };
        append_python(gathering, "Python wait", "thread_wait", some, workers());
        append_python(gathering, "Python as_completed", "thread_as_completed", some, workers());
        report.compare(
            {.title = "an empty task, a million submitted and gathered", .rounds = 3}, gathering
        );
    });
}
