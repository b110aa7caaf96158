#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE executor_threads
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include "support/leak_check.hpp"

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

// After CPython's executor.py, class ExecutorTest, for threads.

using namespace cofutures;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

constexpr int worker_count = 5;

int power(int base, int exponent) {
    int result = 1;
    for (; exponent > 0; --exponent) {
        result *= base;
    }
    return result;
}

template <class... Call>
inline constexpr bool can_submit = requires(ThreadPoolExecutor& pool, Call... call) {
    pool.submit(call...);
};

struct Arguments {
    int fn = 0;
    std::string self = "default";
};

struct MyObject {
    void my_method() const {}
};

}  // namespace

BOOST_AUTO_TEST_SUITE(ExecutorTest)

BOOST_AUTO_TEST_CASE(test_submit) {
    ThreadPoolExecutor pool(worker_count);
    BOOST_TEST(pool.submit(power, 2, 8).result() == 256);
}

// Named arguments are an aggregate's members here.
BOOST_AUTO_TEST_CASE(test_submit_keyword) {
    ThreadPoolExecutor pool(worker_count);
    const auto capture = [](int a, Arguments named) {
        return named.self + std::to_string(a + named.fn);
    };
    BOOST_TEST(pool.submit(capture, 1, Arguments{.fn = 2, .self = "s"}).result() == "s3");
    BOOST_TEST(pool.submit(capture, 1, Arguments{}).result() == "default1");
    static_assert(can_submit<int (*)(int, int), int, int>);
    static_assert(!can_submit<>);
    static_assert(!can_submit<int>);
    static_assert(!can_submit<int (*)(int, int), int>);
}

BOOST_AUTO_TEST_CASE(test_shutdown_race_issue12456) {
    ThreadPoolExecutor pool(worker_count);
    for (int i = 0; i <= worker_count; ++i) {
        pool.submit([](const std::string& text) { return text; }, "a");
    }
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(test_no_stale_references) {
    ThreadPoolExecutor pool(worker_count);
    auto object = std::make_shared<MyObject>();
    const std::weak_ptr<MyObject> watched = object;
    pool.submit(&MyObject::my_method, std::move(object));
    const auto deadline = std::chrono::steady_clock::now() + cofutures::test::generous;
    while (!watched.expired() && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    BOOST_TEST(watched.expired());
}

BOOST_AUTO_TEST_CASE(test_max_workers_negative) {
    for (const int number : {0, -1}) {
        BOOST_CHECK_EXCEPTION(
            ThreadPoolExecutor pool(number),
            std::invalid_argument,
            [](const std::invalid_argument& error) {
                return std::string(error.what()) == "max_workers must be greater than 0";
            }
        );
    }
}

// An exception is one whatever its value, and whatever its type.
BOOST_AUTO_TEST_CASE(test_swallows_falsey_exceptions) {
    ThreadPoolExecutor pool(worker_count);
    BOOST_CHECK_THROW(pool.submit([] { throw 0; }).result(), int);
    BOOST_CHECK_THROW(pool.submit([] { throw std::exception_ptr(); }).result(), std::exception_ptr);
    BOOST_CHECK_THROW(pool.submit([] { throw std::string(); }).result(), std::string);
}

BOOST_AUTO_TEST_SUITE_END()
