#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE idle_timeout
#include <boost/test/unit_test.hpp>

#include <cofutures/future.hpp>

#include "support/eventually.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/thread_state.hpp"

#include <boost/asio/post.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <set>
#include <stdexcept>
#include <string>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::eventually;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;
using cofutures::test::thread_name;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

BOOST_AUTO_TEST_SUITE(idle_timeout)

BOOST_AUTO_TEST_CASE(must_be_positive) {
    for (const auto bad : {0ns, -1ns}) {
        try {
            const ThreadPoolExecutor pool({.idle_timeout = bad});
            BOOST_ERROR("it was accepted");
        } catch (const std::invalid_argument& error) {
            BOOST_TEST(error.what() == std::string("idle_timeout must be greater than 0"));
        }
    }
}

BOOST_AUTO_TEST_CASE(an_idle_thread_leaves_and_a_later_call_starts_another) {
    std::atomic<int> made{0};
    std::atomic<int> finalized{0};
    ThreadPoolExecutor pool({
        .max_workers = 2,
        .initializer = [&] { ++made; },
        .finalizer = [&] { ++finalized; },
        .idle_timeout = 1ms,
    });
    for (int round = 1; round <= 3; ++round) {
        pool.submit([] {}).result();
        BOOST_REQUIRE(eventually([&] { return pool.stats().workers == 0; }));
        BOOST_TEST(finalized == round);
        BOOST_TEST(made == round);
    }
    BOOST_TEST(pool.stats().completed == 3U);
}

BOOST_AUTO_TEST_CASE(threads_that_are_there_at_the_same_time_have_names_of_their_own) {
    ThreadPoolExecutor pool({.max_workers = 3, .thread_name_prefix = "idle", .idle_timeout = 1ms});
    for (int round = 0; round < 3; ++round) {
        std::array<std::string, 3> names;
        std::atomic<int> arrived{0};
        Gate all;
        std::array<Future<void>, 3> futures;
        for (std::size_t i = 0; i < 3; ++i) {
            futures[i] = pool.submit([&, i] {
                names[i] = thread_name();
                if (++arrived == 3) {
                    all.open();
                }
                all.wait();
            });
        }
        for (const auto& future : futures) {
            future.result();
        }
        BOOST_TEST(
            (std::set<std::string>(names.begin(), names.end()) ==
             std::set<std::string>{"idle_0", "idle_1", "idle_2"})
        );
        BOOST_REQUIRE(eventually([&] { return pool.stats().workers == 0; }));
    }
}

BOOST_AUTO_TEST_CASE(a_long_timeout_lets_nobody_leave) {
    ThreadPoolExecutor pool({.max_workers = 1, .idle_timeout = std::chrono::nanoseconds::max()});
    pool.submit([] {}).result();
    BOOST_TEST(pool.stats().workers == 1U);
    pool.shutdown();
    BOOST_TEST(pool.stats().workers == 0U);
}

BOOST_AUTO_TEST_CASE(a_call_that_comes_while_the_only_thread_leaves_is_run) {
    Gate leaving;
    Gate may_leave;
    std::atomic<int> finalized{0};
    ThreadPoolExecutor pool({
        .max_workers = 1,
        .finalizer =
            [&] {
                if (++finalized == 1) {
                    leaving.open();
                    may_leave.wait();
                }
            },
        .idle_timeout = 1ms,
    });
    pool.submit([] {}).result();
    leaving.wait();
    const auto late = pool.submit([] { return 5; });
    pool.shutdown(false);
    may_leave.open();
    BOOST_TEST(late.result() == 5);
    pool.shutdown();
    BOOST_TEST(finalized == 2);
}

BOOST_AUTO_TEST_CASE(get_executor_while_the_only_thread_leaves_keeps_it) {
    Gate leaving;
    Gate may_leave;
    std::atomic<bool> first{true};
    ThreadPoolExecutor pool({
        .max_workers = 1,
        .finalizer =
            [&] {
                if (first.exchange(false)) {
                    leaving.open();
                    may_leave.wait();
                }
            },
        .idle_timeout = 1ms,
    });
    pool.submit([] {}).result();
    leaving.wait();
    Gate handled;
    boost::asio::post(pool.get_executor(), [&] { handled.open(); });
    may_leave.open();
    handled.wait();
}

BOOST_AUTO_TEST_CASE(threads_that_are_shared_with_asio_stay) {
    ThreadPoolExecutor pool({.max_workers = 2, .idle_timeout = 1ms});
    static_cast<void>(pool.get_executor());
    pool.submit([] {}).result();
    Gate handled;
    boost::asio::post(pool.get_executor(), [&] { handled.open(); });
    handled.wait();
    BOOST_TEST(pool.stats().workers == 2U);
}

BOOST_AUTO_TEST_CASE(the_finalizer_runs_where_the_initializer_did) {
    thread_local bool initialized = false;
    std::atomic<int> right{0};
    {
        ThreadPoolExecutor pool({
            .max_workers = 3,
            .initializer = [] { initialized = true; },
            .finalizer = [&] { right += initialized ? 1 : 0; },
        });
        static_cast<void>(pool.get_executor());
    }
    BOOST_TEST(right == 3);
}

BOOST_AUTO_TEST_CASE(after_a_failed_initializer_there_is_no_finalizer) {
    std::atomic<int> finalized{0};
    {
        ThreadPoolExecutor pool({
            .max_workers = 1,
            .initializer = [] { throw 1; },
            .finalizer = [&] { ++finalized; },
        });
        pool.submit([] {}).wait();
    }
    BOOST_TEST(finalized == 0);
}

BOOST_AUTO_TEST_CASE(what_a_finalizer_throws_is_reported) {
    static std::atomic<int> reported{0};
    const auto before = set_callback_error_handler([](std::exception_ptr) noexcept { ++reported; });
    {
        ThreadPoolExecutor pool({.max_workers = 1, .finalizer = [] {
                                     throw 1;
                                 }});
        pool.submit([] {}).result();
    }
    set_callback_error_handler(before);
    BOOST_TEST(reported == 1);
}

BOOST_AUTO_TEST_SUITE_END()
