#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE thread_pool_shutdown
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include "support/blocker.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/message_of.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

const std::string shutdown_text = "cannot schedule new futures after shutdown";

}  // namespace

BOOST_AUTO_TEST_SUITE(thread_pool_shutdown)

// --- shutdown() and the destructor --------------------------------------------------------------

BOOST_AUTO_TEST_CASE(after_shutdown_nothing_can_be_submitted) {
    ThreadPoolExecutor pool(1);
    pool.shutdown();
    BOOST_TEST(message_of<ShutdownError>([&] { pool.submit([] {}); }) == shutdown_text);
}

BOOST_AUTO_TEST_CASE(shutdown_waits_for_all_that_was_submitted) {
    std::atomic<int> runs{0};
    ThreadPoolExecutor pool(2);
    for (int i = 0; i < 1000; ++i) {
        pool.submit([&runs] { ++runs; });
    }
    pool.shutdown();
    BOOST_TEST(runs == 1000);
}

BOOST_AUTO_TEST_CASE(the_destructor_waits_for_all_that_was_submitted) {
    std::atomic<int> runs{0};
    {
        ThreadPoolExecutor pool(2);
        for (int i = 0; i < 1000; ++i) {
            pool.submit([&runs] { ++runs; });
        }
    }
    BOOST_TEST(runs == 1000);
}

BOOST_AUTO_TEST_CASE(shutdown_without_waiting_returns_and_what_was_submitted_still_runs) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    const auto queued = pool.submit([] { return 1; });
    pool.shutdown(false);
    BOOST_TEST(!queued.done());
    BOOST_CHECK_THROW(pool.submit([] {}), ShutdownError);
    blocker.let_go();
    BOOST_TEST(queued.result() == 1);
}

BOOST_AUTO_TEST_CASE(shutdown_may_be_called_again_with_more_to_ask) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    const auto queued = pool.submit([] {});
    pool.shutdown(false);
    pool.shutdown(false);
    BOOST_TEST(!queued.cancelled());
    pool.shutdown(false, true);
    BOOST_TEST(queued.cancelled());
    blocker.let_go();
    pool.shutdown(true);
    pool.shutdown(true, true);
}

BOOST_AUTO_TEST_CASE(cancelling_spares_what_runs) {
    ThreadPoolExecutor pool(1);
    Blocker blocker(pool);
    std::vector<Future<void>> queued;
    std::thread::id told_on;
    for (int i = 0; i < 10; ++i) {
        queued.push_back(pool.submit([] {}));
    }
    queued.back().add_done_callback([&] { told_on = std::this_thread::get_id(); });
    pool.shutdown(false, true);
    for (const auto& future : queued) {
        BOOST_TEST(future.cancelled());
    }
    BOOST_TEST((told_on == std::this_thread::get_id()));
    blocker.let_go();
    blocker.future().result();
}

BOOST_AUTO_TEST_CASE(several_threads_may_shut_it_down_at_once) {
    std::atomic<int> runs{0};
    std::atomic<int> runs_seen{0};
    ThreadPoolExecutor pool(2);
    for (int i = 0; i < 100; ++i) {
        pool.submit([&runs] { ++runs; });
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            pool.shutdown();
            runs_seen += runs;
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    BOOST_TEST(runs_seen == 400);
}

BOOST_AUTO_TEST_CASE(waiting_for_its_own_end_inside_a_task_is_refused) {
    ThreadPoolExecutor pool(1);
    const auto future = pool.submit([&pool] { pool.shutdown(); });
    BOOST_CHECK_THROW(future.result(), DeadlockError);
    BOOST_TEST(pool.submit([] { return 1; }).result() == 1);  // the refused call changed nothing
}

BOOST_AUTO_TEST_CASE(waiting_for_its_own_end_inside_a_callback_is_refused) {
    std::string refused;
    {
        ThreadPoolExecutor pool(1);
        const Blocker blocker(pool);
        pool.submit([] {}
        ).add_done_callback([&] { refused = message_of<DeadlockError>([&] { pool.shutdown(); }); });
    }
    BOOST_TEST(refused.starts_with("shutdown(wait=true) was called inside a task"));
}

BOOST_AUTO_TEST_CASE(a_task_may_shut_its_pool_down_without_waiting) {
    ThreadPoolExecutor pool(1);
    const auto future = pool.submit([&pool] {
        pool.shutdown(false);
        pool.submit([] {});
    });
    BOOST_TEST(message_of<ShutdownError>([&] { future.result(); }) == shutdown_text);
}

BOOST_AUTO_TEST_CASE(a_task_may_wait_for_the_end_of_another_pool) {
    ThreadPoolExecutor outer(1);
    outer
        .submit([] {
            ThreadPoolExecutor inner(1);
            inner.submit([] {});
            inner.shutdown();
        })
        .result();
}

BOOST_AUTO_TEST_CASE(the_last_owner_may_be_one_of_its_own_tasks) {
    for (int round = 0; round < 50; ++round) {
        auto pool = std::make_shared<ThreadPoolExecutor>(3);
        ThreadPoolExecutor& borrowed = *pool;
        Gate owned_by_task;
        std::atomic<int> runs{0};
        std::vector<Future<void>> futures;
        futures.push_back(borrowed.submit([&, pool]() mutable {
            owned_by_task.wait();
            pool.reset();
        }));
        for (int i = 0; i < 20; ++i) {
            futures.push_back(borrowed.submit([&runs] { ++runs; }));
        }
        pool.reset();
        owned_by_task.open();
        for (const auto& future : futures) {
            future.result();
        }
        BOOST_REQUIRE(runs == 20);
    }
}

BOOST_AUTO_TEST_CASE(the_last_owner_may_be_the_callable_of_a_cancelled_task) {
    auto pool = std::make_shared<ThreadPoolExecutor>(1);
    auto blocker = std::make_unique<Blocker>(*pool);
    const auto future = pool->submit([pool] {});
    std::thread releaser([&blocker] { blocker->let_go(); });
    pool.reset();
    future.cancel();
    future.wait();
    releaser.join();
}

// --- with a limit of time, and asynchronously ---------------------------------------------------

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
