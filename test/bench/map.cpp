// map over many small items, and over items of which a few take very long, beside parallel_for.

#include "bench/peers.hpp"

#ifdef COFUTURES_BENCH_TBB
#    include <oneapi/tbb/blocked_range.h>
#    include <oneapi/tbb/parallel_for.h>
#endif

#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

namespace {

using namespace bench;

// Some rounds of a generator that no compiler shortens.
std::uint32_t churn(std::uint32_t value, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        value ^= value << 13;
        value ^= value >> 17;
        value ^= value << 5;
    }
    return value;
}

std::uint32_t small(std::uint32_t item) {
    return churn(item, 4);
}

// One of 1024 is as long as all the others of its neighbourhood.
std::uint32_t uneven(std::uint32_t item) {
    return churn(item, item % 1024 == 7 ? 40'000 : 40);
}

using Work = std::uint32_t (*)(std::uint32_t);

// All read their results, in order.
template <class Results>
std::uint32_t sum_of(Results&& results) {
    std::uint32_t sum = 0;
    for (const std::uint32_t result : results) {
        sum += result;
    }
    return sum;
}

template <Work work>
double in_a_loop(const std::vector<std::uint32_t>& items) {
    return time_per_operation(items.size(), [&] {
        std::vector<std::uint32_t> results(items.size());
        for (std::size_t i = 0; i < items.size(); ++i) {
            results[i] = work(items[i]);
        }
        keep(sum_of(results));
    });
}

template <Work work>
double in_a_map(cofutures::ThreadPoolExecutor& pool, const std::vector<std::uint32_t>& items) {
    return time_per_operation(items.size(), [&] {
        keep(sum_of(pool.map([](std::uint32_t item) { return work(item); }, items)));
    });
}

#ifdef COFUTURES_BENCH_TBB
template <Work work>
double in_parallel_for(const std::vector<std::uint32_t>& items) {
    using Range = oneapi::tbb::blocked_range<std::size_t>;
    return time_per_operation(items.size(), [&] {
        std::vector<std::uint32_t> results(items.size());
        oneapi::tbb::parallel_for(Range(0, items.size()), [&](const Range& range) {
            for (std::size_t i = range.begin(); i != range.end(); ++i) {
                results[i] = work(items[i]);
            }
        });
        keep(sum_of(results));
    });
}
#endif

template <Work work>
std::vector<Contender> contenders(
    const std::shared_ptr<cofutures::ThreadPoolExecutor>& pool,
    const std::vector<std::uint32_t>& items
) {
    std::vector<Contender> list = {
        {"a loop on one thread",
         [&items] {
             return in_a_loop<work>(items);
         }},
        {"cofutures map",
         [pool, &items] {
             return in_a_map<work>(*pool, items);
         }},
    };
#ifdef COFUTURES_BENCH_TBB
    list.push_back({"tbb::parallel_for into a vector", [&items] {
                        return in_parallel_for<work>(items);
                    }});
#endif
    return list;
}

}  // namespace

int main(int argc, char** argv) {
    return run(argc, argv, [](const Options& options, Report& report) {
#ifdef COFUTURES_BENCH_TBB
        const oneapi::tbb::global_control limit(
            oneapi::tbb::global_control::max_allowed_parallelism,
            static_cast<std::size_t>(workers())
        );
#endif
        const auto pool = std::make_shared<cofutures::ThreadPoolExecutor>(workers());
        std::vector<std::uint32_t> items(options.operations(1'000'000));
        std::iota(items.begin(), items.end(), 1U);

        auto even = contenders<small>(pool, items);
        append_python(
            even,
            "Python ThreadPoolExecutor.map",
            "thread_map",
            options.operations(20'000),
            workers()
        );
        report.compare({.title = "map of a million small items, for each"}, even);
        report.compare(
            {.title = "map of a million items, one of 1024 long, for each"},
            contenders<uneven>(pool, items)
        );
    });
}
