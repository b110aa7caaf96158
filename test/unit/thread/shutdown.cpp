#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE thread_pool_shutdown
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <chrono>
#include <optional>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using cofutures::test::Gate;
using cofutures::test::generous;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

BOOST_AUTO_TEST_SUITE(thread_pool_shutdown)

BOOST_AUTO_TEST_CASE(shutdown_for_says_whether_all_work_ended_in_time) {
    ThreadPoolExecutor pool(1);
    Gate may_end;
    const auto running = pool.submit([&] { may_end.wait(); });
    BOOST_TEST(!pool.shutdown_for(0s));
    BOOST_TEST(!pool.shutdown_for(1ms));
    BOOST_CHECK_THROW(pool.submit([] {}), ShutdownError);
    may_end.open();
    BOOST_TEST(pool.shutdown_for(generous));
    BOOST_TEST(running.done());
    BOOST_TEST(pool.stats().workers == 0U);
}

BOOST_AUTO_TEST_CASE(shutdown_for_can_cancel_what_has_not_begun) {
    ThreadPoolExecutor pool(1);
    Gate began;
    Gate may_end;
    const auto running = pool.submit([&] {
        began.open();
        may_end.wait();
    });
    const auto queued = pool.submit([] {});
    began.wait();
    BOOST_TEST(!pool.shutdown_for(0s, true));
    BOOST_TEST(queued.cancelled());
    may_end.open();
    BOOST_TEST(pool.shutdown_for(generous));
}

BOOST_AUTO_TEST_CASE(a_pool_that_was_never_used_has_ended_at_once) {
    ThreadPoolExecutor pool;
    BOOST_TEST(pool.shutdown_for(0s));
    BOOST_TEST(pool.shutdown_for(0s));
}

BOOST_AUTO_TEST_CASE(shutdown_for_inside_a_task_is_refused) {
    ThreadPoolExecutor pool(1);
    const auto future = pool.submit([&] { pool.shutdown_for(1s); });
    BOOST_CHECK_THROW(future.result(), DeadlockError);
    pool.submit([] {}).result();
}

BOOST_AUTO_TEST_CASE(async_shutdown_completes_on_the_callers_context_when_all_has_ended) {
    std::optional<ThreadPoolExecutor> pool(std::in_place, 2);
    Gate may_end;
    const auto running = pool->submit([&] { may_end.wait(); });
    asio::io_context context;
    bool ended = false;
    pool->async_shutdown(asio::bind_executor(context, [&](boost::system::error_code error) {
        BOOST_TEST(!error);
        BOOST_TEST(running.done());
        ended = true;
        pool.reset();  // does not block: the last thread is on its way out
    }));
    BOOST_TEST(context.poll() == 0U);
    may_end.open();
    context.run_for(generous);
    BOOST_TEST(ended);
    BOOST_TEST(!pool.has_value());
}

BOOST_AUTO_TEST_CASE(its_handler_may_run_on_the_last_thread_and_destroy_the_pool) {
    std::optional<ThreadPoolExecutor> pool(std::in_place, 2);
    pool->submit([] {});
    Gate destroyed;
    pool->async_shutdown([&](boost::system::error_code) {
        pool.reset();
        destroyed.open();
    });
    destroyed.wait();
}

BOOST_AUTO_TEST_CASE(async_shutdown_can_be_given_up_and_the_pool_ends_all_the_same) {
    ThreadPoolExecutor pool(1);
    Gate may_end;
    const auto running = pool.submit([&] { may_end.wait(); });
    asio::io_context context;
    asio::cancellation_signal signal;
    boost::system::error_code got;
    pool.async_shutdown(asio::bind_cancellation_slot(
        signal.slot(),
        asio::bind_executor(context, [&](boost::system::error_code error) { got = error; })
    ));
    signal.emit(asio::cancellation_type::terminal);
    context.run_for(generous);
    BOOST_TEST(got == asio::error::operation_aborted);
    may_end.open();
    BOOST_TEST(pool.shutdown_for(generous));
}

BOOST_AUTO_TEST_CASE(async_shutdown_waits_for_handlers_of_asio) {
    ThreadPoolExecutor pool(1);
    Gate may_end;
    asio::post(pool.get_executor(), [&] { may_end.wait(); });
    auto ended = pool.async_shutdown(asio::use_future);
    BOOST_TEST((ended.wait_for(0s) == std::future_status::timeout));
    may_end.open();
    BOOST_TEST((ended.wait_for(generous) == std::future_status::ready));
}

BOOST_AUTO_TEST_SUITE_END()
