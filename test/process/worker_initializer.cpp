#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE worker_initializer
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int calls = 0;
std::string text;

void count_call() {
    ++calls;
}

void set_text(const std::string& to, std::unique_ptr<int> number) {
    ++calls;
    text = to + std::to_string(*number);
}

[[noreturn]] void fail(const std::string& why) {
    throw std::invalid_argument(why);
}

std::pair<int, std::string> state() {
    return {calls, text};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(worker_initializer)

BOOST_AUTO_TEST_CASE(it_runs_once_in_each_worker_before_the_first_task) {
    ProcessPoolExecutor pool(
        {.max_workers = 2, .initializer = {set_text, "level ", std::make_unique<int>(3)}}
    );
    ProcessGate gate;
    auto first = pool.submit(pass, gate.name());
    auto second = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(2);
    gate.open();
    BOOST_TEST(first.result(generous) != second.result(generous));
    for (int i = 0; i < 10; ++i) {
        const auto seen = pool.submit(state).result(generous);
        BOOST_TEST(seen.first == 1);
        BOOST_TEST(seen.second == "level 3");
    }
    BOOST_TEST(calls == 0);
}

BOOST_AUTO_TEST_CASE(a_function_alone_or_a_lambda_will_do) {
    ProcessPoolExecutor function({.max_workers = 1, .initializer = count_call});
    BOOST_TEST(function.submit(state).result(generous).first == 1);
    ProcessPoolExecutor lambda({.max_workers = 1, .initializer = [] {
                                    calls = 7;
                                }});
    BOOST_TEST(lambda.submit(state).result(generous).first == 7);
}

BOOST_AUTO_TEST_CASE(one_object_serves_any_number_of_pools) {
    const WorkerInitializer initializer(set_text, "n", std::make_unique<int>(1));
    for (int i = 0; i < 2; ++i) {
        ProcessPoolExecutor pool({.max_workers = 1, .initializer = initializer});
        BOOST_TEST(pool.submit(state).result(generous).second == "n1");
    }
    const WorkerInitializer copy = initializer;
    ProcessPoolExecutor pool({.max_workers = 1, .initializer = copy});
    BOOST_TEST(pool.submit(state).result(generous).second == "n1");
}

BOOST_AUTO_TEST_CASE(one_that_throws_breaks_the_pool_and_every_future_says_why) {
    ProcessPoolExecutor pool({.max_workers = 1, .initializer = {fail, "no model"}});
    std::vector<Future<std::pair<int, std::string>>> futures;
    try {
        for (int i = 0; i < 5; ++i) {
            futures.push_back(pool.submit(state));
        }
    } catch (const BrokenProcessPool&) {  // it was quick
    }
    BOOST_TEST(!futures.empty());
    for (const auto& future : futures) {
        const auto error = error_of<BrokenProcessPool>(future);
        BOOST_REQUIRE(error);
        BOOST_TEST(
            error->what() ==
            "A process initializer failed, the process pool is not usable anymore: "
            "std::invalid_argument: no model: worker " +
                std::to_string(error->worker().pid)
        );
    }
    BOOST_CHECK_THROW(pool.submit(state), BrokenProcessPool);
}

BOOST_AUTO_TEST_CASE(one_that_ends_the_process_is_a_death) {
    ProcessPoolExecutor pool({.max_workers = 1, .initializer = [] {
                                  std::_Exit(9);
                              }});
    const auto error = error_of<BrokenProcessPool>(pool.submit(state));
    BOOST_REQUIRE(error);
    BOOST_TEST((error->worker().exit_code == 9));
}

BOOST_AUTO_TEST_CASE(an_argument_without_encoding_is_refused_where_it_is_given) {
    const auto take = [](const char*) {
    };
    const char* const nothing = nullptr;
    BOOST_CHECK_THROW(WorkerInitializer(take, nothing), SerializationError);
}

BOOST_AUTO_TEST_CASE(large_arguments_arrive_whole) {
    const std::string large(std::size_t{3} << 20, 'x');
    ProcessPoolExecutor pool(
        {.max_workers = 1, .initializer = {[](std::string to) { text = std::move(to); }, large}}
    );
    BOOST_TEST((pool.submit(state).result(generous).second == large));
}

BOOST_AUTO_TEST_SUITE_END()
