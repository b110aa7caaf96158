#include <cofutures/share.hpp>

#include <cofutures/process_pool_executor.hpp>
#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE large_data
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

// Arguments and results that are too large for a pipe to be the best way, and values that many
// calls share.

using namespace cofutures;
using cofutures::test::generous;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace app {

/// Knows how often it was decoded in its process.
struct Table {
    std::vector<long> values;
};

int decoded_tables = 0;

}  // namespace app

template <>
struct cofutures::Codec<app::Table> {
    static void encode(Encoder& encoder, const app::Table& table) {
        cofutures::encode(encoder, table.values);
    }
    static app::Table decode(Decoder& decoder) {
        ++app::decoded_tables;
        return {cofutures::decode<std::vector<long>>(decoder)};
    }
};

namespace {

using Doubles = std::vector<double>;

Doubles numbers(std::size_t count, double first) {
    Doubles values(count);
    std::iota(values.begin(), values.end(), first);
    return values;
}

Doubles add_one(Doubles values) {
    for (double& value : values) {
        value += 1;
    }
    return values;
}

// Whether this process has memory in view that it shares with another one.
bool shares_memory(const Doubles& /*argument*/) {
    std::ifstream maps("/proc/self/maps");
    std::string line;
    while (std::getline(maps, line)) {
        if (line.find("memfd:cofutures-data") != std::string::npos) {
            return true;
        }
    }
    return false;
}

std::size_t fail_with(const Doubles& values) {
    throw std::runtime_error("got " + std::to_string(values.size()));
}

std::pair<pid_t, int> count_decoded(const app::Table& table, long expected) {
    if (table.values.front() != expected) {
        throw std::runtime_error("another table arrived");
    }
    return {getpid(), app::decoded_tables};
}

constexpr std::size_t large = std::size_t{1} << 20;  // elements: 8 MiB

BOOST_AUTO_TEST_CASE(large_arguments_and_results_come_back_whole) {
    ProcessPoolExecutor pool(2);
    for (int round = 0; round < 3; ++round) {
        auto result = pool.submit(add_one, numbers(large, round));
        BOOST_TEST((result.result(generous) == numbers(large, round + 1)));
    }
}

BOOST_AUTO_TEST_CASE(large_arguments_travel_through_shared_memory) {
    ProcessPoolExecutor pool(1);
    BOOST_TEST(pool.submit(shares_memory, numbers(large, 0)).result(generous));
}

BOOST_AUTO_TEST_CASE(sizes_about_the_limit_come_back_whole) {
    ProcessPoolExecutor pool(1);
    const std::size_t limit = detail::smallest_block / sizeof(double);
    for (std::size_t size = limit - 2; size < limit + 2; ++size) {
        auto result = pool.submit(add_one, numbers(size, 1));
        BOOST_TEST((result.result(generous) == numbers(size, 2)));
    }
}

BOOST_AUTO_TEST_CASE(many_large_tasks_wait_at_once) {
    ProcessPoolExecutor pool(2);
    std::vector<Future<Doubles>> results;
    for (int i = 0; i < 24; ++i) {
        results.push_back(pool.submit(add_one, numbers(large / 4, i)));
    }
    for (int i = 0; i < 24; ++i) {
        BOOST_TEST(
            (results[static_cast<std::size_t>(i)].result(generous) == numbers(large / 4, i + 1))
        );
    }
}

BOOST_AUTO_TEST_CASE(large_values_inside_others_come_back_whole) {
    using Nested = std::map<std::string, std::vector<std::string>>;
    ProcessPoolExecutor pool(1);
    const Nested value{
        {"small", {"a", "b"}}, {"large", {std::string(large, 'x'), "", std::string(large, 'y')}}};
    auto result = pool.submit([](Nested nested) { return nested; }, value);
    BOOST_TEST((result.result(generous) == value));
}

BOOST_AUTO_TEST_CASE(map_of_large_items_comes_back_whole) {
    ProcessPoolExecutor pool(2);
    std::vector<Doubles> items;
    for (int i = 0; i < 8; ++i) {
        items.push_back(numbers(large / 8, i));
    }
    double first = 1;
    for (const Doubles& result : pool.map(add_one, items)) {
        BOOST_TEST((result == numbers(large / 8, first)));
        first += 1;
    }
}

BOOST_AUTO_TEST_CASE(error_of_a_task_with_large_arguments_arrives) {
    ProcessPoolExecutor pool(1);
    auto failed = pool.submit(fail_with, numbers(large, 0));
    const auto error = cofutures::test::error_of<std::runtime_error>(failed);
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(std::string(error->what()) == "got " + std::to_string(large));
    BOOST_TEST((pool.submit(add_one, numbers(large, 0)).result(generous) == numbers(large, 1)));
}

BOOST_AUTO_TEST_CASE(shared_value_is_decoded_once_in_each_worker) {
    ProcessPoolExecutor pool(2);
    const auto table = share(app::Table{std::vector<long>(large, 7)});
    std::vector<Future<std::pair<pid_t, int>>> calls;
    for (int i = 0; i < 40; ++i) {
        calls.push_back(pool.submit(count_decoded, table, 7));
    }
    for (auto& call : calls) {
        BOOST_TEST(call.result(generous).second == 1);
    }
}

BOOST_AUTO_TEST_CASE(several_shared_values_are_told_apart) {
    ProcessPoolExecutor pool(1);
    const auto one = share(app::Table{{1}});
    const auto two = share(app::Table{{2}});
    for (int i = 0; i < 4; ++i) {
        BOOST_TEST(pool.submit(count_decoded, one, 1).result(generous).second <= 2);
        BOOST_TEST(pool.submit(count_decoded, two, 2).result(generous).second <= 2);
    }
}

BOOST_AUTO_TEST_CASE(call_keeps_its_shared_value) {
    ProcessPoolExecutor pool(1);
    auto call = pool.submit(count_decoded, share(app::Table{{5}}), 5);
    BOOST_TEST(call.result(generous).second == 1);
}

BOOST_AUTO_TEST_CASE(shared_value_is_not_copied_on_threads) {
    ThreadPoolExecutor pool(1);
    const auto table = share(app::Table{{1, 2, 3}});
    const app::Table* const here = &table.get();
    auto same = pool.submit([here](const app::Table& given) { return &given == here; }, table);
    BOOST_TEST(same.result(generous));
}

BOOST_AUTO_TEST_CASE(shared_value_goes_through_any_executor) {
    ProcessPoolExecutor processes(1);
    ThreadPoolExecutor threads(1);
    const auto table = share(app::Table{{4}});
    for (Executor* const executor :
         {static_cast<Executor*>(&processes), static_cast<Executor*>(&threads)}) {
        auto call = executor->submit(count_decoded, table, 4);
        BOOST_TEST((call.exception(generous) == nullptr));
    }
}

}  // namespace
