#include <cofutures/map.hpp>

#include <cofutures/error.hpp>
#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE process_map
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"
#include "support/map_inputs.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

// What a map does on worker processes, and CPython's cases about it, as of 3.16, under their names.

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::LeakCheck;
using cofutures::test::Naturals;
using cofutures::test::pass;
using cofutures::test::ProcessGate;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace app {

struct ParseError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Picky {
    int value = 0;
};

}  // namespace app

/// Refuses 13 when it is encoded, 14 when it is decoded.
template <>
struct cofutures::Codec<app::Picky> {
    static void encode(Encoder& encoder, const app::Picky& picky) {
        if (picky.value == 13) {
            throw SerializationError("13 is not encoded");
        }
        cofutures::encode(encoder, picky.value);
    }
    static app::Picky decode(Decoder& decoder) {
        const app::Picky picky{cofutures::decode<int>(decoder)};
        if (picky.value == 14) {
            throw SerializationError("14 is not decoded");
        }
        return picky;
    }
};

namespace {

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

BOOST_AUTO_TEST_CASE(test_map) {
    ProcessPoolExecutor pool(2);
    const auto numbers = Naturals(10);
    std::vector<int> expected;
    for (const int number : numbers) {
        expected.push_back(power(number, number));
    }
    BOOST_TEST((list(pool.map(power, numbers, numbers)) == expected));
    BOOST_TEST((list(pool.map({.chunksize = 3}, power, numbers, numbers)) == expected));
}

BOOST_AUTO_TEST_CASE(test_map_exception) {
    ProcessPoolExecutor pool(2);
    for (const std::optional<int> chunksize : {std::optional<int>(), std::optional(3)}) {
        auto results =
            pool.map({.chunksize = chunksize}, divmod, ints(5, 5, 5, 5), ints(2, 3, 0, 5));
        BOOST_TEST((results.next() == std::pair(2, 1)));
        BOOST_TEST((results.next() == std::pair(1, 2)));
        BOOST_CHECK_EXCEPTION(results.next(), std::domain_error, [](const auto& error) {
            return error.what() == std::string_view("division by zero");
        });
        BOOST_TEST((results.next() == std::pair(1, 0)));
        BOOST_TEST(stops_iteration(results));
    }
}

BOOST_AUTO_TEST_CASE(test_map_timeout_from_callable) {
    ProcessPoolExecutor pool(1);
    auto results = pool.map(
        {.timeout = 60s},
        [](int value) {
            if (value == 1) {
                throw TimeoutError("the callable's own");
            }
            return value;
        },
        ints(0, 1, 2)
    );
    BOOST_TEST(*results.next() == 0);
    BOOST_CHECK_EXCEPTION(results.next(), TimeoutError, [](const TimeoutError& error) {
        return error.what() == std::string_view("the callable's own");
    });
    BOOST_TEST(*results.next() == 2);
    BOOST_TEST(stops_iteration(results));
}

BOOST_AUTO_TEST_CASE(test_map_timeout) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto results = pool.map({.timeout = 20ms, .chunksize = 1}, pass, std::vector(3, gate.name()));
    BOOST_CHECK_THROW(results.next(), TimeoutError);
    BOOST_TEST(stops_iteration(results));
    gate.open();
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(test_map_close) {
    ProcessPoolExecutor pool(1);
    for (const std::optional<int> chunksize : {std::optional<int>(), std::optional(2)}) {
        auto results = pool.map({.chunksize = chunksize}, power, ints(1, 2, 3), ints(1, 1, 1));
        BOOST_TEST(*results.next() == 1);
        results.close();
        BOOST_TEST(stops_iteration(results));
    }
}

BOOST_AUTO_TEST_CASE(test_map_buffersize) {
    ProcessPoolExecutor pool(2);
    const auto numbers = ints(0, 1, 2, 3);
    for (const int buffersize : {1, 2, 4, 8}) {
        for (const std::optional<int> chunksize : {std::optional<int>(), std::optional(3)}) {
            const MapOptions options{.chunksize = chunksize, .buffersize = buffersize};
            BOOST_TEST((list(pool.map(options, std::negate<int>(), numbers)) == ints(0, -1, -2, -3))
            );
            BOOST_TEST(
                (list(pool.map(options, std::plus<int>(), numbers, numbers)) == ints(0, 2, 4, 6))
            );
        }
    }
}

BOOST_AUTO_TEST_CASE(test_map_buffersize_on_infinite_iterable) {
    ProcessPoolExecutor pool(1);
    auto results = pool.map({.buffersize = 2}, std::negate<int>(), Naturals());
    BOOST_TEST(*results.next() == 0);
    BOOST_TEST(*results.next() == -1);
    BOOST_TEST(*results.next() == -2);
}

BOOST_AUTO_TEST_CASE(test_map_buffersize_when_buffer_is_full) {
    ProcessPoolExecutor pool(1);
    int taken = 0;
    const Naturals counted(1000, &taken);
    auto results = pool.map({.buffersize = 2}, std::negate<int>(), counted);
    pool.shutdown();
    BOOST_TEST(taken == 2);
    BOOST_TEST(*results.next() == 0);
    BOOST_TEST(*results.next() == -1);
    BOOST_CHECK_THROW(results.next(), ShutdownError);
    BOOST_TEST(stops_iteration(results));
}

BOOST_AUTO_TEST_CASE(test_shutdown_race_issue12456) {
    ProcessPoolExecutor pool(2);
    const auto results = pool.map(
        [](std::string_view text) { return text.size(); }, std::vector<std::string>(3, "x")
    );
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(test_free_reference) {
    ProcessPoolExecutor pool(1);
    for (auto& object :
         pool.map([](int value) { return std::make_shared<int>(value); }, ints(0, 1, 2))) {
        const std::weak_ptr<int> watched = object;
        object.reset();
        BOOST_TEST(watched.expired());
    }
}

BOOST_AUTO_TEST_CASE(test_map_chunksize) {
    ProcessPoolExecutor pool(2);
    std::vector<int> numbers(100);
    std::iota(numbers.begin(), numbers.end(), 0);
    for (const int chunksize : {6, 50, 40}) {
        const auto results = list(pool.map(
            {.chunksize = chunksize}, [](int value) { return value; }, numbers
        ));
        BOOST_TEST((results == numbers));
    }
    BOOST_CHECK_EXCEPTION(
        static_cast<void>(pool.map({.chunksize = -1}, power, numbers, numbers)),
        std::invalid_argument,
        [](const auto& error) {
            return error.what() == std::string_view("chunksize must be >= 1.");
        }
    );
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(process_map)

BOOST_AUTO_TEST_CASE(strings_and_void_travel) {
    ProcessPoolExecutor pool(2);
    const std::vector<std::string> words{"a", "bb", "ccc"};
    const auto sizes = list(pool.map([](std::string_view word) { return word.size(); }, words));
    BOOST_TEST((sizes == std::vector<std::size_t>{1, 2, 3}));
    BOOST_TEST(list(pool.map([](const std::string&) {}, words)).size() == 3U);
}

BOOST_AUTO_TEST_CASE(works_through_the_base_class) {
    ProcessPoolExecutor pool(1);
    Executor& executor = pool;
    BOOST_TEST((list(executor.map(power, ints(2, 3), ints(2, 2))) == ints(4, 9)));
}

BOOST_AUTO_TEST_CASE(what_cannot_travel_is_refused_by_map) {
    ProcessPoolExecutor pool(1);
    Executor& executor = pool;
    int captured = 1;
    const auto refuse = [&](auto fn) {
        BOOST_CHECK_THROW(static_cast<void>(executor.map(fn, ints(1))), SerializationError);
    };
    refuse([&captured](int value) { return captured += value; });
    refuse([](std::stop_token, int value) { return value; });
    refuse([](int value) { return static_cast<void*>(new int(value)); });
}

BOOST_AUTO_TEST_CASE(one_bad_item_of_a_chunk_hurts_only_itself) {
    ProcessPoolExecutor pool(1);
    std::vector<app::Picky> items;
    for (int value = 11; value < 18; ++value) {
        items.push_back({value});
    }
    auto results = pool.map(
        {.chunksize = 7},
        [](app::Picky item) {
            if (item.value == 15) {
                throw app::ParseError("15");
            }
            return app::Picky{item.value == 16 ? 13 : item.value == 17 ? 14 : item.value};
        },
        items
    );
    BOOST_TEST(results.next()->value == 11);
    BOOST_TEST(results.next()->value == 12);
    BOOST_CHECK_THROW(results.next(), SerializationError);  // the argument could not be encoded
    BOOST_CHECK_THROW(results.next(), SerializationError);  // the argument could not be decoded
    BOOST_CHECK_EXCEPTION(results.next(), RemoteError, [](const RemoteError& error) {
        return error.type_name() == "app::ParseError" && error.what() == std::string_view("15") &&
               error.remote_trace().starts_with("in worker ");
    });
    BOOST_CHECK_THROW(results.next(), SerializationError);  // the result could not be encoded
    BOOST_CHECK_THROW(results.next(), SerializationError);  // the result could not be decoded
    BOOST_TEST(stops_iteration(results));
}

BOOST_AUTO_TEST_CASE(unordered_results_come_as_they_finish) {
    ProcessGate gate;
    ProcessPoolExecutor pool(2);
    auto results = pool.map_unordered(
        {.chunksize = 1},
        [](const cofutures::test::GateName& name) { return name.release.empty() ? 0 : pass(name); },
        std::vector<cofutures::test::GateName>{gate.name(), {}, {}}
    );
    BOOST_TEST(*results.next() == 0);
    BOOST_TEST(*results.next() == 0);
    gate.open();
    BOOST_TEST(*results.next() != 0);
    BOOST_TEST(stops_iteration(results));
}

BOOST_AUTO_TEST_CASE(chunks_of_a_large_map_spread_over_the_workers) {
    ProcessPoolExecutor pool(2);
    std::vector<int> numbers(10'000);
    std::iota(numbers.begin(), numbers.end(), 0);
    std::size_t sum = 0;
    for (const auto& [value, pid] :
         pool.map([](int number) { return std::pair(number, getpid()); }, numbers)) {
        BOOST_TEST_REQUIRE(pid != getpid());
        sum += static_cast<std::size_t>(value);
    }
    BOOST_TEST(sum == 10'000U * 9'999U / 2);
}

BOOST_AUTO_TEST_CASE(dead_worker_breaks_the_items_that_are_left) {
    ProcessPoolExecutor pool(1);
    auto results = pool.map(
        {.chunksize = 2},
        [](int value) {
            if (value == 3) {
                std::_Exit(9);
            }
            return value;
        },
        ints(0, 1, 2, 3, 4)
    );
    BOOST_TEST(*results.next() == 0);
    BOOST_TEST(*results.next() == 1);
    for (int i = 2; i < 5; ++i) {
        BOOST_CHECK_THROW(results.next(), BrokenProcessPool);
    }
    BOOST_TEST(stops_iteration(results));
}

BOOST_AUTO_TEST_CASE(close_cancels_chunks_that_have_not_begun) {
    ProcessGate gate;
    {
        ProcessPoolExecutor pool(1);
        auto results = pool.map({.chunksize = 1}, pass, std::vector(3, gate.name()));
        gate.wait_for_arrivals(1);
        results.close();
        gate.open();
    }
    BOOST_TEST(!gate.has_arrivals());
}

BOOST_AUTO_TEST_CASE(shutdown_with_cancel_cancels_chunks_that_have_not_begun) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto results = pool.map({.chunksize = 1}, pass, std::vector(3, gate.name()));
    gate.wait_for_arrivals(1);
    pool.shutdown(false, true);
    gate.open();
    BOOST_TEST(*results.next() != 0);
    BOOST_CHECK_THROW(results.next(), CancelledError);
    BOOST_CHECK_THROW(results.next(), CancelledError);
    BOOST_TEST(stops_iteration(results));
}

BOOST_AUTO_TEST_CASE(map_after_shutdown_throws) {
    ProcessPoolExecutor pool(1);
    pool.shutdown();
    BOOST_CHECK_THROW(static_cast<void>(pool.map(power, ints(1), ints(1))), ShutdownError);
}

BOOST_AUTO_TEST_SUITE_END()
