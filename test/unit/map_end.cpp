#include <cofutures/map.hpp>

#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE map_end
#include <boost/test/unit_test.hpp>

#include "support/blocker.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/map_inputs.hpp"
#include "support/object_observer.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int twice(int value) {
    return 2 * value;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(map_end)

BOOST_AUTO_TEST_CASE(timeout_cancels_what_has_not_begun_and_ends_the_range) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    std::atomic<int> calls{0};
    auto range = pool.map(
        {.timeout = 0s}, [&calls](int) { ++calls; }, numbers_to(2)
    );
    BOOST_CHECK_THROW(range.next(), TimeoutError);
    BOOST_TEST(!range.next().has_value());
    blocker.let_go();
    pool.shutdown();
    BOOST_TEST(calls == 0);
}

BOOST_AUTO_TEST_CASE(timeout_wakes_a_sleeping_reader) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    auto range = pool.map({.timeout = 20ms}, twice, numbers_to(2));
    BOOST_CHECK_THROW(range.next(), TimeoutError);
}

BOOST_AUTO_TEST_CASE(ready_results_are_given_out_after_the_deadline) {
    ThreadPoolExecutor pool(1);
    auto range = pool.map({.timeout = 0s}, twice, numbers_to(3));
    pool.shutdown();
    BOOST_TEST(*range.next() == 0);
    BOOST_TEST(*range.next() == 2);
    BOOST_TEST(*range.next() == 4);
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_CASE(close_cancels_what_has_not_begun_and_destroys_the_input) {
    ObjectCounts counts;
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    std::vector<Observed> input;
    for (int i = 0; i < 10; ++i) {
        input.emplace_back(counts, i);
    }
    std::atomic<int> calls{0};
    auto range = pool.map([&calls](const Observed&) { ++calls; }, std::move(input));
    range.close();
    BOOST_TEST(counts.live() == 0);
    BOOST_TEST(!range.next().has_value());
    range.close();
    blocker.let_go();
    pool.shutdown();
    BOOST_TEST(calls == 0);
}

BOOST_AUTO_TEST_CASE(destroying_the_range_leaves_what_runs_alone) {
    ObjectCounts counts;
    Gate begun;
    Gate release;
    std::atomic<int> calls{0};
    {
        ThreadPoolExecutor pool(1);
        {
            std::vector<Observed> input;
            for (int i = 0; i < 3; ++i) {
                input.emplace_back(counts, i);
            }
            const auto range = pool.map(
                [&, held = Observed(counts)](Observed&& item) {
                    begun.open();
                    release.wait();
                    ++calls;
                    return Observed(counts, held.value() + item.value());
                },
                std::move(input)
            );
            begun.wait();
        }
        BOOST_TEST(counts.live() == 2);  // the callable, and the argument of the call that runs
        release.open();
    }
    BOOST_TEST(calls == 1);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(close_destroys_results_that_were_not_read) {
    ObjectCounts counts;
    ThreadPoolExecutor pool(2);
    auto range = pool.map([&counts](int i) { return Observed(counts, i); }, numbers_to(20));
    pool.shutdown();
    BOOST_TEST(range.next()->value() == 0);
    range.close();
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(no_reference_to_a_result_is_kept) {
    ObjectCounts counts;
    ThreadPoolExecutor pool(2);
    auto range = pool.map([&counts](int i) { return Observed(counts, i); }, numbers_to(5));
    pool.shutdown();
    for (int left = 5; left > 0; --left) {
        BOOST_TEST(counts.live() == left);
        range.next();
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(shutdown_with_cancel_cancels_items_not_begun) {
    for (const std::optional<int> chunksize : {std::optional<int>(), std::optional(4)}) {
        ThreadPoolExecutor pool(1);
        Gate begun;
        Gate release;
        auto range = pool.map(
            {.chunksize = chunksize},
            [&](int value) {
                begun.open();
                release.wait();
                return value;
            },
            numbers_to(10)
        );
        begun.wait();
        pool.shutdown(false, true);
        release.open();
        BOOST_TEST(*range.next() == 0);
        for (int i = 1; i < 10; ++i) {
            BOOST_CHECK_THROW(range.next(), CancelledError);
        }
        BOOST_TEST(!range.next().has_value());
    }
}

BOOST_AUTO_TEST_CASE(shutdown_with_cancel_cancels_a_queued_map) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    auto range = pool.map(twice, numbers_to(3));
    pool.shutdown(false, true);
    for (int i = 0; i < 3; ++i) {
        BOOST_CHECK_THROW(range.next(), CancelledError);
    }
    BOOST_TEST(!range.next().has_value());
}

BOOST_AUTO_TEST_SUITE_END()
