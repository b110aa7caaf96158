#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE thread_pool_executor
#include <boost/test/unit_test.hpp>

#include <cofutures/asio_executor.hpp>
#include <cofutures/error.hpp>
#include <cofutures/promise.hpp>

#include "support/blocker.hpp"
#include "support/eventually.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/message_of.hpp"
#include "support/object_observer.hpp"

#include <atomic>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

BOOST_AUTO_TEST_SUITE(thread_pool_executor)

// --- making one ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(max_workers_must_be_positive) {
    for (const int bad : {0, -1, -1000}) {
        const std::string expected = "max_workers must be greater than 0";
        BOOST_TEST(message_of<std::invalid_argument>([bad] {
                       ThreadPoolExecutor pool(bad);
                   }) == expected);
        BOOST_TEST(message_of<std::invalid_argument>([bad] {
                       ThreadPoolExecutor pool({.max_workers = bad});
                   }) == expected);
    }
}

BOOST_AUTO_TEST_CASE(is_neither_copied_nor_moved) {
    static_assert(!std::is_copy_constructible_v<ThreadPoolExecutor>);
    static_assert(!std::is_move_constructible_v<ThreadPoolExecutor>);
    static_assert(!std::is_convertible_v<int, ThreadPoolExecutor>);
    static_assert(std::has_virtual_destructor_v<Executor>);
}

BOOST_AUTO_TEST_CASE(no_thread_is_started_before_the_first_call) {
    const std::size_t before = Holdings::now().threads;
    ThreadPoolExecutor pool(4);
    BOOST_TEST(Holdings::now().threads == before);
}

BOOST_AUTO_TEST_CASE(a_pool_that_was_never_used_ends_at_once) {
    for (int i = 0; i < 100; ++i) {
        ThreadPoolExecutor pool;
    }
}

BOOST_AUTO_TEST_CASE(a_huge_limit_costs_nothing_until_threads_are_needed) {
    ThreadPoolExecutor pool(std::numeric_limits<int>::max());
    BOOST_TEST(pool.submit([] { return 1; }).result() == 1);
}

// --- calls --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(gives_values_references_and_nothing) {
    ThreadPoolExecutor pool(2);
    int number = 3;
    BOOST_TEST(pool.submit([](int a, int b) { return a * b; }, 6, 7).result() == 42);
    BOOST_TEST(&pool.submit([&number]() -> int& { return number; }).result() == &number);
    pool.submit([](int& out) { out = 5; }, std::ref(number)).result();
    BOOST_TEST(number == 5);
}

BOOST_AUTO_TEST_CASE(takes_move_only_callables_and_arguments) {
    ThreadPoolExecutor pool(1);
    auto future = pool.submit(
        [one = std::make_unique<int>(1)](std::unique_ptr<int> two) {
            *two += *one;
            return two;
        },
        std::make_unique<int>(2)
    );
    BOOST_TEST(*std::move(future).result() == 3);
}

// They would not compile with a std::stop_token in front.
BOOST_AUTO_TEST_CASE(takes_generic_callables_of_any_number_of_arguments) {
    ThreadPoolExecutor pool(1);
    Executor& executor = pool;
    const auto sum = [](auto... numbers) {
        return (numbers + ...);
    };
    BOOST_TEST(pool.submit(sum, 1, 2, 3).result() == 6);
    BOOST_TEST(executor.submit(sum, 1, 2).result() == 3);
    BOOST_TEST(cofutures::submit(pool.get_executor(), sum, 4, 5).result() == 9);
    BOOST_TEST(
        pool.submit([](auto number, int factor = 2) { return number * factor; }, 21).result() == 42
    );
    const std::vector<int> numbers{1, 2};
    BOOST_TEST(pool.map(sum, numbers, numbers).next().value() == 2);
}

BOOST_AUTO_TEST_CASE(works_through_the_base_class) {
    ThreadPoolExecutor pool(1);
    Executor& executor = pool;
    BOOST_TEST(*executor.submit([](auto p) { return p; }, std::make_unique<int>(4)).result() == 4);
    executor.shutdown();
    BOOST_TEST(message_of<ShutdownError>([&] {
                   executor.submit([] {});
               }) == "cannot schedule new futures after shutdown");
}

BOOST_AUTO_TEST_CASE(whatever_a_call_throws_is_in_its_future_and_the_thread_goes_on) {
    ThreadPoolExecutor pool(1);
    BOOST_CHECK_THROW(
        pool.submit([] { throw std::out_of_range("far"); }).result(), std::out_of_range
    );
    BOOST_CHECK_THROW(pool.submit([]() -> int { throw 7; }).result(), int);
    BOOST_CHECK_THROW(pool.submit([] { throw CancelledError(); }).result(), CancelledError);
    BOOST_TEST(pool.submit([] { return 1; }).result() == 1);
}

BOOST_AUTO_TEST_CASE(a_callable_is_destroyed_before_its_future_is_done) {
    ThreadPoolExecutor pool(1);
    for (int i = 0; i < 100; ++i) {
        ObjectCounts counts;
        pool.submit([held = Observed(counts)](const Observed& /*argument*/) {}, Observed(counts))
            .result();
        BOOST_REQUIRE(counts.live() == 0);
    }
}

BOOST_AUTO_TEST_CASE(a_refused_call_destroys_its_callable_and_runs_nothing) {
    ThreadPoolExecutor pool(1);
    pool.shutdown();
    ObjectCounts counts;
    BOOST_CHECK_THROW(pool.submit([held = Observed(counts)] {}), ShutdownError);
    BOOST_TEST(counts.made == 1);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(one_thread_runs_calls_in_the_order_submitted) {
    std::vector<int> ran;
    {
        ThreadPoolExecutor pool(1);
        const Blocker blocker(pool);
        for (int i = 0; i < 1000; ++i) {
            pool.submit([&ran, i] { ran.push_back(i); });
        }
    }
    BOOST_TEST(ran.size() == 1000u);
    BOOST_TEST(std::is_sorted(ran.begin(), ran.end()));
}

BOOST_AUTO_TEST_CASE(a_call_that_waits_in_the_queue_can_be_cancelled) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    BOOST_TEST(blocker.future().running());
    BOOST_TEST(!blocker.future().cancel());
    bool ran = false;
    const auto future = pool.submit([&ran] { ran = true; });
    BOOST_TEST(!future.running());
    BOOST_TEST(future.cancel());
    blocker.let_go();
    pool.shutdown();
    BOOST_TEST(!ran);
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(a_stop_request_reaches_the_running_call) {
    ThreadPoolExecutor pool(1);
    Gate began;
    const auto future = pool.submit([&began](const std::stop_token& token) {
        began.open();
        return eventually([&token] { return token.stop_requested(); });
    });
    began.wait();
    BOOST_TEST(future.request_stop());
    BOOST_TEST(future.result());
    BOOST_TEST(!future.request_stop());
}

BOOST_AUTO_TEST_CASE(a_call_may_submit_another) {
    ThreadPoolExecutor pool(1);
    auto outer = pool.submit([&pool] { return pool.submit([] { return 3; }); });
    BOOST_TEST(outer.result().result() == 3);
}

BOOST_AUTO_TEST_CASE(calls_that_submit_each_other_all_run) {
    std::atomic<int> runs{0};
    ThreadPoolExecutor pool(3);
    std::function<void(int)> split = [&](int depth) {
        ++runs;
        if (depth > 0) {
            pool.submit(split, depth - 1);
            pool.submit(split, depth - 1);
        }
    };
    pool.submit(split, 12);
    BOOST_TEST(eventually([&] { return runs == (1 << 13) - 1; }));
}

BOOST_AUTO_TEST_CASE(a_done_callback_may_submit) {
    Promise<int> seen;
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    pool.submit([] {}).add_done_callback([&] {
        pool.submit([] { return 4; }
        ).add_done_callback([&](const Future<int>& done) { seen.set_result(done.result()); });
    });
    blocker.let_go();
    BOOST_TEST(seen.get_future().result(generous) == 4);
}

BOOST_AUTO_TEST_CASE(futures_outlive_the_pool) {
    std::optional<ThreadPoolExecutor> pool(std::in_place, 2);
    const auto value = pool->submit([] { return std::string("kept"); });
    const auto error = pool->submit([] { throw std::runtime_error("kept too"); });
    pool.reset();
    BOOST_TEST(value.result() == "kept");
    BOOST_CHECK_THROW(error.result(), std::runtime_error);
    BOOST_TEST(value.then([](std::string text) { return text.size(); }).result() == 4u);
}

BOOST_AUTO_TEST_CASE(the_pool_may_be_destroyed_as_soon_as_a_result_is_there) {
    for (int i = 0; i < 200; ++i) {
        std::optional<ThreadPoolExecutor> pool(std::in_place, 2);
        const int got = pool->submit([i] { return i; }).result();
        pool.reset();
        BOOST_REQUIRE(got == i);
    }
}

BOOST_AUTO_TEST_SUITE_END()
