#include <cofutures/task_options.hpp>

#define BOOST_TEST_MODULE time_limit
#include <boost/test/unit_test.hpp>

#include <cofutures/asio_executor.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <utility>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::generous;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// Waits until it is asked to stop; false if it is not.
bool wait_for_stop(const std::stop_token& token) {
    Gate asked;
    const std::stop_callback on_stop(token, [&] { asked.open(); });
    asked.wait();
    return token.stop_requested();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(time_limit)

BOOST_AUTO_TEST_CASE(must_be_positive) {
    ThreadPoolExecutor pool(1);
    BOOST_CHECK_THROW(pool.submit({.timeout = 0ns}, [] {}), std::invalid_argument);
}

BOOST_AUTO_TEST_CASE(a_call_that_overruns_is_asked_to_stop_and_its_outcome_stands) {
    ThreadPoolExecutor pool(1);
    const auto future = pool.submit({.timeout = 1ms}, wait_for_stop);
    BOOST_TEST(future.result());
    BOOST_TEST(pool.stats().timeouts == 1U);
    BOOST_TEST(pool.stats().completed == 1U);
}

BOOST_AUTO_TEST_CASE(several_limits_end_in_their_own_order) {
    ThreadPoolExecutor pool(3);
    const auto never = pool.submit({.timeout = std::chrono::hours(1)}, wait_for_stop);
    const auto late = pool.submit({.timeout = 30ms}, wait_for_stop);
    const auto early = pool.submit({.timeout = 1ms}, wait_for_stop);
    BOOST_TEST(early.result());
    BOOST_TEST(late.result());
    BOOST_TEST(pool.stats().timeouts == 2U);
    never.request_stop();
    BOOST_TEST(never.result());
    BOOST_TEST(pool.stats().timeouts == 2U);
}

BOOST_AUTO_TEST_CASE(the_time_counts_from_when_the_call_begins) {
    ThreadPoolExecutor pool(1);
    Gate may_end;
    const auto first = pool.submit([&] { may_end.wait(); });
    const auto second = pool.submit({.timeout = 10s}, [](const std::stop_token& token) {
        return token.stop_requested();
    });
    BOOST_TEST(!second.wait_for(20ms));
    may_end.open();
    BOOST_TEST(!second.result());
    BOOST_TEST(pool.stats().timeouts == 0U);
}

BOOST_AUTO_TEST_CASE(a_call_without_a_stop_token_is_counted_too) {
    ThreadPoolExecutor pool(1);
    Gate may_end;
    const auto future = pool.submit({.timeout = 1ns}, [&] { may_end.wait(); });
    may_end.open();
    future.result();
    BOOST_TEST(pool.stats().timeouts == 1U);
}

BOOST_AUTO_TEST_CASE(a_cancelled_call_overruns_nothing) {
    ThreadPoolExecutor pool(1);
    Gate may_end;
    const auto first = pool.submit([&] { may_end.wait(); });
    auto second = pool.submit({.timeout = 1ns}, [] {});
    second.cancel();
    may_end.open();
    pool.shutdown();
    BOOST_TEST(pool.stats().timeouts == 0U);
}

BOOST_AUTO_TEST_CASE(a_limit_beyond_the_clock_is_none) {
    ThreadPoolExecutor pool(1);
    pool.submit({.timeout = std::chrono::nanoseconds::max()}, [] {}).result();
    BOOST_TEST(pool.stats().timeouts == 0U);
}

BOOST_AUTO_TEST_CASE(a_stop_callback_may_shut_the_pool_down) {
    ThreadPoolExecutor pool(1);
    const auto future = pool.submit({.timeout = 1ms}, [&](const std::stop_token& token) {
        Gate asked;
        const std::stop_callback on_stop(token, [&] {
            pool.shutdown(false);
            asked.open();
        });
        asked.wait();
    });
    future.result();
    pool.shutdown();
    BOOST_TEST(pool.stats().timeouts == 1U);
}

BOOST_AUTO_TEST_CASE(works_on_asio_executors) {
    boost::asio::thread_pool threads(1);
    AsioExecutor executor(threads.get_executor());
    BOOST_TEST(executor.submit({.timeout = 1ms}, wait_for_stop).result());
    BOOST_TEST(executor.stats().timeouts == 1U);
    executor.shutdown();
}

BOOST_AUTO_TEST_SUITE_END()
