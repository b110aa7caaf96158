#include <cofutures/process_pool_executor.hpp>
#include <cofutures/wait.hpp>

#define BOOST_TEST_MODULE on_io_context
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// A pool that has no thread of its own: whoever runs the caller's context is its manager.

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int twice(int value) {
    return 2 * value;
}

std::size_t threads() {
    return Holdings::now().threads;
}

/// What an `awaitable` does, run to its end on one thread; throws what it throws.
template <class Body>
void run(asio::io_context& context, Body body) {
    std::exception_ptr problem;
    asio::co_spawn(context, std::move(body), [&](std::exception_ptr error) {
        problem = std::move(error);
    });
    context.run_for(generous);
    BOOST_TEST(context.stopped());
    if (problem) {
        std::rethrow_exception(problem);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(on_io_context)

BOOST_AUTO_TEST_CASE(needs_no_thread_and_lets_the_context_end) {
    asio::io_context context;
    const std::size_t before = threads();
    run(context, [&]() -> asio::awaitable<void> {
        ProcessPoolExecutor pool(context.get_executor(), {.max_workers = 2});
        std::vector<Future<int>> futures;
        for (int i = 0; i < 500; ++i) {
            futures.push_back(pool.submit(twice, i));
        }
        BOOST_TEST(threads() == before);
        for (int i = 0; i < 500; ++i) {
            BOOST_TEST(co_await futures[static_cast<std::size_t>(i)] == 2 * i);
        }
        co_await pool.async_shutdown();
        BOOST_TEST(pool.worker_pids().empty());
        BOOST_TEST(pool.stats().completed == 500U);
    });
}

BOOST_AUTO_TEST_CASE(the_destructor_does_not_wait_and_loses_nothing) {
    asio::io_context context;
    std::vector<Future<int>> futures;
    {
        ProcessPoolExecutor pool(context.get_executor(), {.max_workers = 2});
        for (int i = 0; i < 20; ++i) {
            futures.push_back(pool.submit(twice, i));
        }
    }
    BOOST_TEST(!futures[19].done());
    context.run_for(generous);
    BOOST_TEST(context.stopped());
    for (int i = 0; i < 20; ++i) {
        BOOST_TEST(futures[static_cast<std::size_t>(i)].result(0s) == 2 * i);
    }
}

BOOST_AUTO_TEST_CASE(several_threads_may_run_the_context) {
    asio::thread_pool pool_of_threads(3);
    std::atomic<int> callbacks{0};
    {
        ProcessPoolExecutor pool(pool_of_threads.get_executor(), {.max_workers = 2});
        std::vector<Future<int>> futures;
        for (int i = 0; i < 2000; ++i) {
            futures.push_back(pool.submit(twice, i));
            futures.back().add_done_callback([&] { ++callbacks; });
        }
        for (int i = 0; i < 2000; ++i) {
            BOOST_TEST(futures[static_cast<std::size_t>(i)].result(generous) == 2 * i);
        }
        pool.shutdown(true);
        BOOST_TEST(pool.worker_pids().empty());
    }
    pool_of_threads.join();
    BOOST_TEST(callbacks == 2000);
}

BOOST_AUTO_TEST_CASE(a_wait_on_the_contexts_thread_is_refused) {
    asio::io_context context;
    ProcessPoolExecutor pool(context.get_executor(), {.max_workers = 1});
    auto future = pool.submit(twice, 4);
    asio::post(context, [&] {
        const auto error = thrown_by<DeadlockError>([&] { future.result(); });
        BOOST_REQUIRE(error);
        BOOST_TEST(std::string(error->what()).find("co_await") != std::string::npos);
        thrown_by<DeadlockError>([&] { wait(std::vector{future}); });
        thrown_by<DeadlockError>([&] { future.then(twice).result(); });
        thrown_by<TimeoutError>([&] { future.result(1ms); });
        const auto refused = thrown_by<DeadlockError>([&] { pool.shutdown(true); });
        BOOST_REQUIRE(refused);
        BOOST_TEST(std::string(refused->what()).find("async_shutdown") != std::string::npos);
        pool.shutdown(false);
    });
    context.run_for(generous);
    BOOST_TEST(context.stopped());
    BOOST_TEST(future.result() == 8);
    pool.shutdown(true);  // all is done
}

BOOST_AUTO_TEST_CASE(a_map_read_on_the_contexts_thread_is_refused) {
    asio::io_context context;
    ProcessPoolExecutor pool(context.get_executor(), {.max_workers = 1});
    asio::post(context, [&] {
        auto results = pool.map(twice, std::vector{1, 2, 3});
        thrown_by<DeadlockError>([&] { results.next(); });
        results.close();
        pool.shutdown(false);
    });
    context.run_for(generous);
    BOOST_TEST(context.stopped());
}

BOOST_AUTO_TEST_CASE(a_context_that_is_destroyed_ends_every_future_and_worker) {
    ProcessGate gate;
    std::optional<asio::io_context> context(std::in_place);
    ProcessPoolExecutor pool(context->get_executor(), {.max_workers = 1});
    auto running = pool.submit(pass, gate.name());
    auto waiting = pool.submit(twice, 1);
    std::thread runner([&] { context->run(); });
    gate.wait_for_arrivals(1);
    const pid_t worker = pool.worker_pids().at(0);
    context->stop();
    runner.join();
    context.reset();
    error_of<BrokenProcessPool>(running);
    error_of<BrokenProcessPool>(waiting);
    BOOST_TEST((running.exception() != waiting.exception()));
    BOOST_CHECK_THROW(pool.submit(twice, 1), BrokenProcessPool);
    BOOST_TEST(wait_gone(worker));
    check_sum(pool.stats());
}

BOOST_AUTO_TEST_CASE(a_context_that_never_runs_ends_every_future_too) {
    Future<int> future;
    {
        asio::io_context context;
        ProcessPoolExecutor pool(context.get_executor());
        future = pool.submit(twice, 1);
    }
    error_of<BrokenProcessPool>(future);
}

BOOST_AUTO_TEST_CASE(deaths_and_limits_are_seen_there_too) {
    asio::io_context context;
    run(context, [&]() -> asio::awaitable<void> {
        ProcessPoolExecutor pool(
            asio::make_strand(context), {.max_workers = 1, .on_worker_death = WorkerDeath::replace}
        );
        bool died = false;
        try {
            co_await pool.submit([] { ::raise(SIGKILL); });
        } catch (const WorkerDiedError&) {
            died = true;
        }
        BOOST_TEST(died);
        bool overran = false;
        const TaskOptions limit{.timeout = 20ms};
        try {
            // Named: g++ 12 destroys an aggregate twice that is made within such an expression.
            auto late = pool.submit(limit, [] { ::pause(); });
            co_await late;
        } catch (const TaskTimeoutError&) {
            overran = true;
        }
        BOOST_TEST(overran);
        BOOST_TEST(co_await pool.submit(twice, 4) == 8);
        co_await pool.async_shutdown();
    });
}

BOOST_AUTO_TEST_CASE(async_submit_waits_for_room_without_blocking) {
    asio::io_context context;
    run(context, [&]() -> asio::awaitable<void> {
        ProcessPoolExecutor pool(context.get_executor(), {.max_workers = 1, .max_queue = 1});
        std::vector<Future<int>> futures;
        for (int i = 0; i < 20; ++i) {
            futures.push_back(co_await pool.async_submit(asio::use_awaitable, twice, i));
            BOOST_TEST(pool.stats().queued <= 2U);
        }
        for (int i = 0; i < 20; ++i) {
            BOOST_TEST(co_await futures[static_cast<std::size_t>(i)] == 2 * i);
        }
        co_await pool.async_shutdown();
    });
}

BOOST_AUTO_TEST_CASE(large_data_passes_both_ways) {
    asio::io_context context;
    run(context, [&]() -> asio::awaitable<void> {
        ProcessPoolExecutor pool(context.get_executor(), {.max_workers = 1});
        const std::string text(std::size_t{16} << 20U, 'x');
        auto echo = pool.submit([](std::string s) { return s; }, text);
        BOOST_TEST((co_await echo == text));
        co_await pool.async_shutdown();
    });
}

BOOST_AUTO_TEST_SUITE_END()
