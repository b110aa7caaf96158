#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE test_init_threads
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include "support/leak_check.hpp"

#include <stdexcept>
#include <string>
#include <vector>

// After CPython's test_init.py, for threads.

using namespace cofutures;
using cofutures::test::LeakCheck;

// Its check of threads and descriptors is what FailingInitializerResourcesTest is about.
BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

constexpr int worker_count = 2;

thread_local std::string initializer_status = "uninitialized";

}  // namespace

BOOST_AUTO_TEST_SUITE(InitializerMixin)

BOOST_AUTO_TEST_CASE(test_initializer) {
    const std::string argument = "initialized";
    ThreadPoolExecutor pool({
        .max_workers = worker_count,
        .thread_name_prefix = "",
        .initializer = [argument] { initializer_status = argument; },
    });
    std::vector<Future<std::string>> futures;
    for (int i = 0; i < worker_count; ++i) {
        futures.push_back(pool.submit([] { return initializer_status; }));
    }
    for (const auto& future : futures) {
        BOOST_TEST(future.result() == "initialized");
    }
    BOOST_TEST(initializer_status == "uninitialized");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(FailingInitializerMixin)

BOOST_AUTO_TEST_CASE(test_initializer) {
    ThreadPoolExecutor pool({
        .max_workers = worker_count,
        .thread_name_prefix = "",
        .initializer = [] { throw std::invalid_argument("error in initializer"); },
    });
    const auto future = pool.submit([] { return initializer_status; });
    BOOST_CHECK_THROW(future.result(), BrokenExecutor);
    BOOST_CHECK_THROW(pool.submit([] { return initializer_status; }), BrokenExecutor);
}

BOOST_AUTO_TEST_SUITE_END()
