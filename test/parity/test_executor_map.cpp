#include <cofutures/map.hpp>

#include <cofutures/asio_executor.hpp>
#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE test_executor_map
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/map_inputs.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/mpl/list.hpp>

#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// The cases about map in CPython's executor.py and test_thread_pool.py, as of 3.16, under their
// names and over every executor of this process. Left out: test_map_buffersize_type_validation,
// which the compiler does, and test_map_buffersize_without_iterable, a call that does not compile.
// Sleeps are gates. Those of process pools are in test/process/map.cpp.

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;
using cofutures::test::Naturals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// --- the executors -------------------------------------------------------------------------------

struct Threads {
    ThreadPoolExecutor executor{worker_count};
    static constexpr int worker_count = 5;
};

struct IoContext {
    asio::io_context context;
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    std::thread runner{[this] {
        context.run();
    }};
    AsioExecutor executor{context.get_executor()};
    static constexpr int worker_count = 1;

    ~IoContext() {
        executor.shutdown();
        work.reset();
        runner.join();
    }
};

struct AsioPool {
    asio::thread_pool threads{3};
    AsioExecutor executor{threads.get_executor()};
    static constexpr int worker_count = 3;
};

struct Strand {
    asio::thread_pool threads{3};
    AsioExecutor executor{asio::make_strand(threads)};
    static constexpr int worker_count = 1;
};

using Executors = boost::mpl::list<Threads, IoContext, AsioPool, Strand>;

// --- what is mapped ------------------------------------------------------------------------------

int power(int base, int exponent) {
    int result = 1;
    for (; exponent > 0; --exponent) {
        result *= base;
    }
    return result;
}

std::pair<int, int> divmod(int a, int b) {
    if (b == 0) {
        throw std::domain_error("division by zero");
    }
    return {a / b, a % b};
}

template <class T>
std::vector<T> list(MapRange<T>&& range) {
    std::vector<T> values;
    while (auto value = range.next()) {
        values.push_back(std::move(*value));
    }
    return values;
}

template <class T>
bool stops_iteration(MapRange<T>& range) {
    return !range.next() && !range.next();
}

template <class... Ints>
std::vector<int> ints(Ints... values) {
    return {values...};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(executor_test)

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map, Kind, Executors) {
    Kind kind;
    const auto numbers = Naturals(10);
    std::vector<int> expected;
    for (const int number : numbers) {
        expected.push_back(power(number, number));
    }
    BOOST_TEST((list(kind.executor.map(power, numbers, numbers)) == expected));
    BOOST_TEST((list(kind.executor.map({.chunksize = 3}, power, numbers, numbers)) == expected));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_exception, Kind, Executors) {
    Kind kind;
    for (const std::optional<int> chunksize : {std::optional<int>(), std::optional(3)}) {
        auto results =
            kind.executor.map({.chunksize = chunksize}, divmod, ints(5, 5, 5, 5), ints(2, 3, 0, 5));
        BOOST_TEST((results.next() == std::pair(2, 1)));
        BOOST_TEST((results.next() == std::pair(1, 2)));
        BOOST_CHECK_THROW(results.next(), std::domain_error);
        BOOST_TEST((results.next() == std::pair(1, 0)));
        BOOST_TEST(stops_iteration(results));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_timeout_from_callable, Kind, Executors) {
    Kind kind;
    const auto call = [](int value) {
        if (value == 1) {
            throw TimeoutError("the callable's own");
        }
        return value;
    };
    for (const std::optional<std::chrono::nanoseconds> timeout :
         {std::optional<std::chrono::nanoseconds>(),
          std::optional<std::chrono::nanoseconds>(60s)}) {
        auto results = kind.executor.map({.timeout = timeout}, call, ints(0, 1, 2));
        BOOST_TEST(*results.next() == 0);
        BOOST_CHECK_EXCEPTION(results.next(), TimeoutError, [](const TimeoutError& error) {
            return error.what() == std::string_view("the callable's own");
        });
        BOOST_TEST(*results.next() == 2);
        BOOST_TEST(stops_iteration(results));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_timeout, Kind, Executors) {
    Kind kind;
    Gate release;
    const auto call = [&release](int waits) {
        if (waits != 0) {
            release.wait();
        }
    };
    int results_before = 0;
    auto results = kind.executor.map({.timeout = 50ms}, call, ints(0, 0, 6));
    try {
        while (results.next()) {
            ++results_before;
        }
        BOOST_ERROR("no timeout");
    } catch (const TimeoutError&) {
        BOOST_TEST(results_before <= 2);
    }
    BOOST_TEST(stops_iteration(results));
    release.open();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_close, Kind, Executors) {
    Kind kind;
    for (const std::optional<int> chunksize : {std::optional<int>(), std::optional(2)}) {
        auto results =
            kind.executor.map({.chunksize = chunksize}, power, ints(1, 2, 3), ints(1, 1, 1));
        BOOST_TEST(*results.next() == 1);
        results.close();
        BOOST_TEST(stops_iteration(results));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_buffersize_value_validation, Kind, Executors) {
    Kind kind;
    for (const int buffersize : {0, -1}) {
        BOOST_CHECK_EXCEPTION(
            static_cast<void>(
                kind.executor.map({.buffersize = buffersize}, std::negate<int>(), ints(1))
            ),
            std::invalid_argument,
            [](const std::invalid_argument& error) {
                return error.what() == std::string_view("buffersize must be None or > 0");
            }
        );
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_buffersize, Kind, Executors) {
    Kind kind;
    const auto numbers = ints(0, 1, 2, 3);
    for (const int buffersize : {1, 2, 4, 8}) {
        const auto results =
            list(kind.executor.map({.buffersize = buffersize}, std::negate<int>(), numbers));
        BOOST_TEST((results == ints(0, -1, -2, -3)));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_buffersize_on_multiple_iterables, Kind, Executors) {
    Kind kind;
    const auto numbers = ints(0, 1, 2, 3);
    for (const int buffersize : {1, 2, 4, 8}) {
        const auto results =
            list(kind.executor.map({.buffersize = buffersize}, std::plus<int>(), numbers, numbers));
        BOOST_TEST((results == ints(0, 2, 4, 6)));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_buffersize_on_infinite_iterable, Kind, Executors) {
    Kind kind;
    auto results = kind.executor.map({.buffersize = 2}, std::negate<int>(), Naturals());
    BOOST_TEST(*results.next() == 0);
    BOOST_TEST(*results.next() == -1);
    BOOST_TEST(*results.next() == -2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_buffersize_on_multiple_infinite_iterables, Kind, Executors) {
    Kind kind;
    auto results = kind.executor.map({.buffersize = 2}, std::plus<int>(), Naturals(), Naturals());
    BOOST_TEST(*results.next() == 0);
    BOOST_TEST(*results.next() == 2);
    BOOST_TEST(*results.next() == 4);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_buffersize_on_empty_iterable, Kind, Executors) {
    Kind kind;
    auto results = kind.executor.map({.buffersize = 2}, std::negate<int>(), std::vector<int>());
    BOOST_TEST(stops_iteration(results));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_buffersize_when_buffer_is_full, Kind, Executors) {
    Kind kind;
    int taken = 0;
    const Naturals counted(1000, &taken);
    const auto results = kind.executor.map({.buffersize = 2}, std::negate<int>(), counted);
    kind.executor.shutdown();
    BOOST_TEST(taken == 2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_shutdown_race_issue12456, Kind, Executors) {
    Kind kind;
    const std::vector<std::string> items(Kind::worker_count + 1, "x");
    const auto results = kind.executor.map([](const std::string& text) { return text; }, items);
    kind.executor.shutdown();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(test_free_reference, Kind, Executors) {
    Kind kind;
    for (auto& object : kind.executor.map(
             [](int value) { return std::make_shared<int>(value); }, ints(0, 1, 2, 3)
         )) {
        const std::weak_ptr<int> watched = object;
        object.reset();
        BOOST_TEST(watched.expired());
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(thread_pool_executor_test)

BOOST_AUTO_TEST_CASE_TEMPLATE(test_map_submits_without_iteration, Kind, Executors) {
    Kind kind;
    std::atomic<int> finished{0};
    const auto results = kind.executor.map([&finished](int) { ++finished; }, Naturals(10));
    kind.executor.shutdown();
    BOOST_TEST(finished == 10);
}

BOOST_AUTO_TEST_CASE(test_executor_map_current_future_cancel) {
    std::atomic<int> calls{0};
    {
        ThreadPoolExecutor pool(1);
        Gate release;
        pool.submit([&release] { release.wait(); });
        auto results = pool.map(
            {.timeout = 0s}, [&calls](int) { ++calls; }, ints(1, 2)
        );
        BOOST_CHECK_THROW(results.next(), TimeoutError);
        release.open();
    }
    BOOST_TEST(calls == 0);
}

BOOST_AUTO_TEST_SUITE_END()
