#include <cofutures/map.hpp>

#include <cofutures/asio_executor.hpp>
#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE map
#include <boost/test/unit_test.hpp>

#include "support/blocker.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/map_inputs.hpp"
#include "support/object_observer.hpp"

#include <atomic>
#include <cstddef>
#include <forward_list>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int twice(int value) {
    return 2 * value;
}

template <class T>
std::vector<T> all_of(MapRange<T>&& range) {
    std::vector<T> values;
    for (T& value : range) {
        values.push_back(std::move(value));
    }
    return values;
}

/// The numbers in a text: each can be read once.
class Words {
public:
    explicit Words(std::istream& text) : first_(text) {}
    [[nodiscard]] std::istream_iterator<int> begin() const { return first_; }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }

private:
    std::istream_iterator<int> first_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(map)

// --- what goes in and comes out -----------------------------------------------------------------

BOOST_AUTO_TEST_CASE(results_come_in_input_order) {
    ThreadPoolExecutor pool(3);
    const auto numbers = numbers_to(10'000);
    const auto results = all_of(pool.map(twice, numbers));
    BOOST_TEST_REQUIRE(results.size() == numbers.size());
    for (const int number : numbers) {
        BOOST_TEST_REQUIRE(results[static_cast<std::size_t>(number)] == 2 * number);
    }
}

BOOST_AUTO_TEST_CASE(shortest_range_ends_the_map) {
    ThreadPoolExecutor pool(2);
    const std::vector<int> first{1, 2, 3, 4};
    const std::list<long> second{10, 20, 30};
    const auto sums = all_of(pool.map([](int a, long b) { return a + b; }, first, second));
    BOOST_TEST(sums == (std::vector<long>{11, 22, 33}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(input_may_be_empty) {
    ThreadPoolExecutor pool(2);
    auto range = pool.map(twice, std::vector<int>());
    BOOST_TEST(!range.next().has_value());
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_CASE(input_may_be_read_once_only) {
    ThreadPoolExecutor pool(2);
    std::istringstream text("1 2 3 4 5");
    auto results = all_of(pool.map(twice, Words(text)));
    BOOST_TEST(results == (std::vector<int>{2, 4, 6, 8, 10}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(unsized_input_of_any_length) {
    ThreadPoolExecutor pool(2);
    const std::forward_list<int> input(20'000, 3);
    long sum = 0;
    for (const int result : pool.map(twice, input)) {
        sum += result;
    }
    BOOST_TEST(sum == 120'000);
}

BOOST_AUTO_TEST_CASE(void_gives_monostate) {
    ThreadPoolExecutor pool(2);
    std::atomic<int> sum{0};
    auto range = pool.map([&sum](int value) { sum += value; }, numbers_to(10));
    static_assert(std::is_same_v<decltype(range)::value_type, std::monostate>);
    int count = 0;
    while (range.next()) {
        ++count;
    }
    BOOST_TEST(count == 10);
    BOOST_TEST(sum == 45);
}

BOOST_AUTO_TEST_CASE(reference_gives_reference_wrapper) {
    ThreadPoolExecutor pool(2);
    std::vector<int> values{5, 6};
    const auto at = [&values](std::size_t index) -> int& {
        return values[index];
    };
    auto range = pool.map(at, std::vector<std::size_t>{1, 0});
    BOOST_TEST(&range.next()->get() == &values[1]);
    BOOST_TEST(&range.next()->get() == &values[0]);
}

BOOST_AUTO_TEST_CASE(elements_and_results_may_be_move_only) {
    ThreadPoolExecutor pool(2);
    std::vector<std::unique_ptr<int>> input;
    for (int i = 0; i < 100; ++i) {
        input.push_back(std::make_unique<int>(i));
    }
    const auto add_one = [](std::unique_ptr<int> value) {
        ++*value;
        return value;
    };
    int expected = 0;
    for (auto& result : pool.map(add_one, std::move(input))) {
        BOOST_TEST_REQUIRE(*result == ++expected);
    }
    BOOST_TEST(expected == 100);
}

BOOST_AUTO_TEST_CASE(elements_of_an_lvalue_are_copied_and_stay) {
    ThreadPoolExecutor pool(2);
    const std::vector<std::string> input{"a", "b"};
    auto lengths = all_of(pool.map([](std::string&& s) { return std::exchange(s, {}); }, input));
    BOOST_TEST(lengths[0] == "a");
    BOOST_TEST(input[0] == "a");
}

BOOST_AUTO_TEST_CASE(view_is_kept_by_value) {
    ThreadPoolExecutor pool(1);
    const std::vector<int> numbers{1, 2, 3, 4};
    auto range = [&] {
        const std::span<const int> view(numbers);
        return pool.map({.buffersize = 1}, twice, view);
    }();
    BOOST_TEST(*range.next() == 2);
    BOOST_TEST(*range.next() == 4);
}

BOOST_AUTO_TEST_CASE(proxies_are_taken_by_value) {
    ThreadPoolExecutor pool(2);
    std::vector<bool> flags{true, false};
    auto range = pool.map([](bool flag) { return !flag; }, flags);
    BOOST_TEST(*range.next() == false);
    BOOST_TEST(*range.next() == true);
}

BOOST_AUTO_TEST_CASE(range_is_a_view_for_algorithms) {
    ThreadPoolExecutor pool(2);
    auto range = pool.map(twice, numbers_to(4));
    static_assert(std::ranges::input_range<decltype(range)>);
    static_assert(std::movable<decltype(range)>);
    int sum = 0;
    std::ranges::for_each(range, [&sum](int value) { sum += value; });
    BOOST_TEST(sum == 12);
}

BOOST_AUTO_TEST_CASE(call_may_take_a_stop_token_which_close_stops) {
    ThreadPoolExecutor pool(1);
    Gate begun;
    Gate stopped;
    auto range = pool.map(
        [&](std::stop_token token, int /*item*/) {
            const std::stop_callback on_stop(token, [&] { stopped.open(); });
            begun.open();
            stopped.wait();
        },
        numbers_to(1)
    );
    begun.wait();
    range.close();
    stopped.wait();
}

BOOST_AUTO_TEST_CASE(works_through_the_base_class) {
    ThreadPoolExecutor pool(2);
    Executor& executor = pool;
    BOOST_TEST(all_of(executor.map(twice, numbers_to(3))).size() == 3);
}

BOOST_AUTO_TEST_CASE(iterator_stays_with_the_map_when_the_range_is_moved) {
    ThreadPoolExecutor pool(1);
    auto range = pool.map(twice, numbers_to(10));
    auto position = range.begin();
    auto other = std::move(range);
    for (int i = 0; i < 5; ++i, ++position) {
        BOOST_TEST_REQUIRE(*position == 2 * i);
    }
    BOOST_TEST(*other.next() == 12);  // the iterator has read one ahead
    ++position;
    BOOST_TEST(*position == 14);
}

BOOST_AUTO_TEST_CASE(moved_from_range_is_at_its_end) {
    ThreadPoolExecutor pool(1);
    auto range = pool.map(twice, numbers_to(2));
    auto other = std::move(range);
    BOOST_TEST(!range.next().has_value());  // NOLINT(bugprone-use-after-move)
    range.close();
    BOOST_TEST(*other.next() == 0);
}

// --- options ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(bad_options_are_refused_in_pythons_words) {
    ThreadPoolExecutor pool(1);
    const auto says = [](std::string_view text) {
        return [text](const std::invalid_argument& error) {
            return error.what() == text;
        };
    };
    for (const int bad : {0, -1}) {
        BOOST_CHECK_EXCEPTION(
            static_cast<void>(pool.map({.chunksize = bad}, twice, numbers_to(1))),
            std::invalid_argument,
            says("chunksize must be >= 1.")
        );
        BOOST_CHECK_EXCEPTION(
            static_cast<void>(pool.map({.buffersize = bad}, twice, numbers_to(1))),
            std::invalid_argument,
            says("buffersize must be None or > 0")
        );
    }
}

BOOST_AUTO_TEST_CASE(any_chunksize_gives_the_same) {
    ThreadPoolExecutor pool(2);
    for (const int chunksize : {1, 3, 1000}) {
        const auto results = all_of(pool.map({.chunksize = chunksize}, twice, numbers_to(100)));
        BOOST_TEST(results.size() == 100U);
        BOOST_TEST(results.back() == 198);
    }
}

BOOST_AUTO_TEST_CASE(any_buffersize_gives_the_same) {
    ThreadPoolExecutor pool(2);
    for (const int buffersize : {1, 2, 17, 100, 1'000'000'000}) {
        const auto results = all_of(pool.map({.buffersize = buffersize}, twice, numbers_to(100)));
        BOOST_TEST_REQUIRE(results.size() == 100U);
        for (int i = 0; i < 100; ++i) {
            BOOST_TEST_REQUIRE(results[static_cast<std::size_t>(i)] == 2 * i);
        }
    }
}

BOOST_AUTO_TEST_CASE(never_more_than_buffersize_are_in_flight) {
    ThreadPoolExecutor pool(2);
    for (const int buffersize : {1, 2, 5, 40}) {
        Counting input;
        auto range = pool.map({.buffersize = buffersize}, twice, input);
        BOOST_TEST(input.made() == buffersize);
        for (int read = 1; read <= 200; ++read) {
            BOOST_TEST_REQUIRE(*range.next() == 2 * (read - 1));
            BOOST_TEST_REQUIRE(input.made() - read <= buffersize);
        }
    }
}

BOOST_AUTO_TEST_CASE(small_buffer_is_refilled_at_each_result) {
    ThreadPoolExecutor pool(1);
    Counting input;
    auto range = pool.map({.buffersize = 2}, twice, input);
    range.next();
    BOOST_TEST(input.made() == 3);
}

BOOST_AUTO_TEST_CASE(input_advances_no_further_than_needed) {
    ThreadPoolExecutor pool(1);
    std::istringstream text("1 2 3");
    auto range = pool.map({.buffersize = 1}, twice, Words(text));
    int next = 0;
    text >> next;
    BOOST_TEST(next == 2);  // the range took the first only
    BOOST_TEST(*range.next() == 2);
}

// --- errors -------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(exception_comes_at_its_position_and_reading_goes_on) {
    ThreadPoolExecutor pool(2);
    auto range = pool.map(
        [](int value) {
            if (value % 3 == 1) {
                throw std::domain_error(std::to_string(value));
            }
            return value;
        },
        numbers_to(50)
    );
    for (int i = 0; i < 50; ++i) {
        if (i % 3 == 1) {
            BOOST_CHECK_EXCEPTION(range.next(), std::domain_error, [i](const auto& error) {
                return error.what() == std::to_string(i);
            });
        } else {
            BOOST_TEST_REQUIRE(*range.next() == i);
        }
    }
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_CASE(input_that_throws_throws_out_of_map) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    Counting input(5);
    std::atomic<int> calls{0};
    const auto call = [&calls](int) {
        ++calls;
    };
    BOOST_CHECK_THROW(static_cast<void>(pool.map(call, input)), std::domain_error);
    blocker.let_go();
    pool.shutdown();
    BOOST_TEST(calls == 0);  // what had been scheduled was cancelled
}

BOOST_AUTO_TEST_CASE(input_that_throws_later_throws_after_the_results) {
    ThreadPoolExecutor pool(1);
    Counting input(5);
    auto range = pool.map({.buffersize = 2}, twice, input);
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST_REQUIRE(*range.next() == 2 * i);
    }
    BOOST_CHECK_THROW(range.next(), std::domain_error);
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_CASE(map_after_shutdown_throws) {
    ThreadPoolExecutor pool(1);
    pool.shutdown();
    BOOST_CHECK_THROW(static_cast<void>(pool.map(twice, numbers_to(1))), ShutdownError);
    BOOST_CHECK_THROW(
        static_cast<void>(pool.map({.buffersize = 1}, twice, numbers_to(1))), ShutdownError
    );
}

BOOST_AUTO_TEST_CASE(results_in_hand_come_before_the_shutdown_error) {
    for (const int buffersize : {1, 3, 100}) {
        ThreadPoolExecutor pool(1);
        Counting input;
        auto range = pool.map({.buffersize = buffersize}, twice, input);
        pool.shutdown();
        for (int i = 0; i < buffersize; ++i) {
            BOOST_TEST_REQUIRE(*range.next() == 2 * i);
        }
        BOOST_CHECK_THROW(range.next(), ShutdownError);
        BOOST_TEST(!range.next().has_value());
    }
}

BOOST_AUTO_TEST_CASE(range_may_outlive_the_executor) {
    Counting input;
    std::optional<MapRange<int>> range;
    {
        ThreadPoolExecutor pool(1);
        range.emplace(pool.map({.buffersize = 2}, twice, input));
    }
    BOOST_TEST(*range->next() == 0);
    BOOST_TEST(*range->next() == 2);
    BOOST_CHECK_THROW(range->next(), ShutdownError);
    BOOST_TEST(!range->next().has_value());
}

BOOST_AUTO_TEST_CASE(items_of_a_broken_pool_fail) {
    ThreadPoolOptions options;
    options.max_workers = 1;
    options.initializer = [] {
        throw std::domain_error("no");
    };
    ThreadPoolExecutor pool(std::move(options));
    std::optional<MapRange<int>> range;
    try {
        range.emplace(pool.map(twice, numbers_to(3)));
    } catch (const BrokenThreadPool&) {
        return;  // the initializer was faster
    }
    for (int i = 0; i < 3; ++i) {
        BOOST_CHECK_THROW(range->next(), BrokenThreadPool);
    }
    BOOST_TEST(!range->next().has_value());
}

// --- workers ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(items_run_at_the_same_time) {
    constexpr int workers = 3;
    ThreadPoolExecutor pool(workers);
    std::atomic<int> begun{0};
    Gate all_begun;
    auto range = pool.map(
        [&](int) {
            if (++begun == workers) {
                all_begun.open();
            }
            all_begun.wait();
        },
        numbers_to(workers)
    );
    for (int i = 0; i < workers; ++i) {
        BOOST_TEST(range.next().has_value());
    }
}

BOOST_AUTO_TEST_CASE(first_result_does_not_wait_for_the_second) {
    ThreadPoolExecutor pool(1);
    Gate release;
    auto range = pool.map(
        [&release](int value) {
            if (value == 1) {
                release.wait();
            }
            return value;
        },
        numbers_to(2)
    );
    BOOST_TEST(*range.next() == 0);
    release.open();
    BOOST_TEST(*range.next() == 1);
}

BOOST_AUTO_TEST_CASE(nested_maps_in_one_worker_do_not_hang) {
    ThreadPoolExecutor pool(1);
    const auto inner_sum = [&pool](int count) {
        int sum = 0;
        for (const int value : pool.map(twice, numbers_to(count))) {
            sum += value;
        }
        for (const int value : pool.map_unordered({.buffersize = 2}, twice, numbers_to(count))) {
            sum += value;
        }
        return sum;
    };
    const auto sums = all_of(pool.map(inner_sum, std::vector<int>{2, 3, 4}));
    BOOST_TEST(sums == (std::vector<int>{4, 12, 24}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(map_that_is_not_read_runs_before_shutdown_returns) {
    std::atomic<int> calls{0};
    ThreadPoolExecutor pool(2);
    const auto range = pool.map([&calls](int) { ++calls; }, numbers_to(100));
    pool.shutdown();
    BOOST_TEST(calls == 100);
}

BOOST_AUTO_TEST_CASE(one_thread_runs_a_map_before_what_was_submitted_later) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    std::atomic<int> calls{0};
    const auto range = pool.map([&calls](int) { ++calls; }, numbers_to(1000));
    auto seen = pool.submit([&calls] { return calls.load(); });
    blocker.let_go();
    BOOST_TEST(seen.result() == 1000);
}

BOOST_AUTO_TEST_SUITE_END()
