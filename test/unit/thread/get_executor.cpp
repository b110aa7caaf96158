#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE get_executor
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/promise.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/error_code.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using boost::system::error_code;
using cofutures::test::Gate;
using cofutures::test::generous;
using cofutures::test::Holdings;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// Calls that submit themselves again: a queue that is never empty until the backlog is destroyed.
class EndlessBacklog {
public:
    explicit EndlessBacklog(ThreadPoolExecutor& pool) : pool_(pool) {
        for (int i = 0; i < 1000; ++i) {
            again();
        }
    }
    EndlessBacklog(const EndlessBacklog&) = delete;
    EndlessBacklog& operator=(const EndlessBacklog&) = delete;
    ~EndlessBacklog() {
        ended_ = true;
        pool_.shutdown();  // no call is left that would use this
    }

    [[nodiscard]] long runs() const { return runs_; }

private:
    void again() {
        pool_.submit([this] {
            ++runs_;
            if (!ended_) {
                again();
            }
        });
    }

    ThreadPoolExecutor& pool_;
    std::atomic<long> runs_{0};
    std::atomic<bool> ended_{false};
};

asio::awaitable<void> yield_often(int times) {
    for (int i = 0; i < times; ++i) {
        co_await asio::post(asio::use_awaitable);
    }
}

// Waits for an Asio future; false if it takes too long.
template <class T>
bool in_time(const std::future<T>& future) {
    return future.wait_for(generous) == std::future_status::ready;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(get_executor)

BOOST_AUTO_TEST_CASE(is_an_asio_executor_of_the_pool) {
    static_assert(asio::execution::is_executor<ThreadPoolExecutor::executor_type>::value);
    ThreadPoolExecutor pool(2);
    const auto executor = pool.get_executor();
    BOOST_CHECK(executor == pool.get_executor());
    BOOST_TEST(!executor.running_in_this_thread());
    BOOST_TEST(pool.submit([executor] { return executor.running_in_this_thread(); }).result());
}

BOOST_AUTO_TEST_CASE(the_first_call_starts_all_threads) {
    const std::size_t before = Holdings::now().threads;
    ThreadPoolExecutor pool(3);
    static_cast<void>(pool.get_executor());
    BOOST_TEST(Holdings::now().threads == before + 3);
    static_cast<void>(pool.get_executor());
    BOOST_TEST(Holdings::now().threads == before + 3);
}

BOOST_AUTO_TEST_CASE(after_shutdown_no_thread_is_started) {
    const std::size_t before = Holdings::now().threads;
    ThreadPoolExecutor pool(3);
    pool.shutdown();
    static_cast<void>(pool.get_executor());
    BOOST_TEST(Holdings::now().threads == before);
}

BOOST_AUTO_TEST_CASE(handlers_run_on_threads_that_are_initialized) {
    static thread_local bool initialized = false;
    ThreadPoolExecutor pool({.max_workers = 2, .thread_name_prefix = "", .initializer = [] {
                                 initialized = true;
                             }});
    auto seen =
        asio::post(pool.get_executor(), std::packaged_task<bool()>([] { return initialized; }));
    BOOST_REQUIRE(in_time(seen));
    BOOST_TEST(seen.get());
}

BOOST_AUTO_TEST_CASE(dispatch_in_a_task_runs_at_once) {
    ThreadPoolExecutor pool(1);
    const auto executor = pool.get_executor();
    const auto at_once = pool.submit([executor] {
        bool ran = false;
        asio::dispatch(executor, [&ran] { ran = true; });
        return ran;
    });
    BOOST_TEST(at_once.result());
}

BOOST_AUTO_TEST_CASE(strands_timers_and_coroutines_work_on_it) {
    ThreadPoolExecutor pool(2);
    auto strand = asio::make_strand(pool.get_executor());
    int unguarded = 0;
    for (int i = 0; i < 1000; ++i) {
        asio::post(strand, [&unguarded] { ++unguarded; });
    }
    asio::steady_timer timer(pool.get_executor(), 1ms);
    auto fired = timer.async_wait(asio::use_future);
    auto ended = asio::co_spawn(pool.get_executor(), yield_often(100), asio::use_future);
    BOOST_REQUIRE(in_time(fired));
    BOOST_REQUIRE(in_time(ended));
    fired.get();
    ended.get();
    pool.shutdown();
    BOOST_TEST(unguarded == 1000);
}

BOOST_AUTO_TEST_CASE(a_handler_may_submit_and_a_call_may_post) {
    ThreadPoolExecutor pool(1);
    Promise<int> promise;
    asio::post(pool.get_executor(), [&] {
        pool.submit([&] { asio::post(pool.get_executor(), [&] { promise.set_result(5); }); });
    });
    BOOST_TEST(promise.get_future().result(generous) == 5);
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(a_future_is_awaited_without_a_thread) {
    ThreadPoolExecutor pool(1);
    auto sum = asio::co_spawn(
        pool.get_executor(),
        [&pool]() -> asio::awaitable<int> {
            int total = 0;
            for (int i = 1; i <= 10; ++i) {
                total += co_await pool.submit([i] { return i; });
            }
            co_return total;
        },
        asio::use_future
    );
    BOOST_REQUIRE(in_time(sum));
    BOOST_TEST(sum.get() == 55);
}

// --- taking turns -------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(handlers_get_their_turn_while_calls_are_queued) {
    for (const int threads : {1, 2, 4}) {
        ThreadPoolExecutor pool(threads);
        asio::steady_timer timer(pool.get_executor());
        const EndlessBacklog backlog(pool);
        timer.expires_after(5ms);
        auto fired = timer.async_wait(asio::use_future);
        auto ended = asio::co_spawn(pool.get_executor(), yield_often(20), asio::use_future);
        BOOST_TEST(in_time(fired));
        BOOST_TEST(in_time(ended));
    }
}

BOOST_AUTO_TEST_CASE(they_get_it_too_if_the_executor_is_first_asked_for_in_the_middle) {
    for (const int threads : {1, 2}) {
        ThreadPoolExecutor pool(threads);
        const EndlessBacklog backlog(pool);
        pool.submit([] {}).result();  // the thread is at work
        auto handled = asio::post(pool.get_executor(), std::packaged_task<void()>([] {}));
        BOOST_TEST(in_time(handled));
    }
}

BOOST_AUTO_TEST_CASE(calls_get_their_turn_while_handlers_are_queued) {
    ThreadPoolExecutor pool(1);
    std::atomic<bool> ended{false};
    auto executor = pool.get_executor();
    for (int i = 0; i < 3; ++i) {
        asio::co_spawn(
            executor,
            [&ended]() -> asio::awaitable<void> {
                while (!ended) {
                    co_await asio::post(asio::use_awaitable);
                }
            },
            asio::detached
        );
    }
    for (int i = 0; i < 100; ++i) {
        BOOST_TEST(pool.submit([] {}).wait_for(generous));
    }
    ended = true;
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(a_timer_fires_before_a_million_calls_have_run) {
    constexpr int calls = 1'000'000;
    std::atomic<int> runs{0};
    int runs_when_fired = calls;
    {
        ThreadPoolExecutor pool(1);
        asio::steady_timer timer(pool.get_executor());
        Gate go_on;
        pool.submit([&go_on] { go_on.wait(); });
        for (int i = 0; i < calls; ++i) {
            pool.submit([&runs] { ++runs; });
        }
        timer.expires_after(0ms);
        timer.async_wait([&](const error_code& /*error*/) { runs_when_fired = runs; });
        go_on.open();
        pool.shutdown();
    }
    BOOST_TEST(runs == calls);
    BOOST_TEST(runs_when_fired < calls / 2);
}

// --- the end ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(shutdown_waits_for_handlers_and_what_they_post) {
    int depth = 0;
    ThreadPoolExecutor pool(2);
    const auto executor = pool.get_executor();
    std::function<void()> deeper = [&] {
        if (++depth < 100) {
            asio::post(executor, deeper);
        }
    };
    asio::post(executor, deeper);
    pool.shutdown();
    BOOST_TEST(depth == 100);
}

BOOST_AUTO_TEST_CASE(shutdown_waits_for_timers_and_coroutines) {
    std::atomic<int> ended{0};
    {
        ThreadPoolExecutor pool(1);
        asio::steady_timer timer(pool.get_executor(), 5ms);
        timer.async_wait([&ended](const error_code& error) { ended += error ? 0 : 1; });
        asio::co_spawn(
            pool.get_executor(),
            [&ended]() -> asio::awaitable<void> {
                co_await yield_often(50);
                ++ended;
            },
            asio::detached
        );
        pool.shutdown();
        BOOST_TEST(ended == 2);
    }
}

BOOST_AUTO_TEST_CASE(shutdown_waits_for_work_that_is_guarded) {
    ThreadPoolExecutor pool(1);
    auto guard = asio::make_work_guard(pool.get_executor());
    pool.shutdown(false);
    bool ran = false;
    asio::post(pool.get_executor(), [&] {
        ran = true;
        guard.reset();
    });
    pool.shutdown();
    BOOST_TEST(ran);
}

BOOST_AUTO_TEST_CASE(a_handler_that_waits_for_the_end_of_its_pool_is_refused) {
    ThreadPoolExecutor pool(1);
    auto refused =
        asio::post(pool.get_executor(), std::packaged_task<void()>([&] { pool.shutdown(); }));
    BOOST_REQUIRE(in_time(refused));
    BOOST_CHECK_THROW(refused.get(), DeadlockError);
}

BOOST_AUTO_TEST_CASE(handlers_of_a_pool_whose_threads_all_failed_are_destroyed_with_it) {
    auto held = std::make_shared<int>(1);
    {
        ThreadPoolExecutor pool({.max_workers = 2, .thread_name_prefix = "", .initializer = [] {
                                     throw std::runtime_error("failed");
                                 }});
        asio::post(pool.get_executor(), [held] {});
        pool.shutdown();
        BOOST_CHECK_THROW(pool.submit([] {}), BrokenThreadPool);
    }
    BOOST_TEST(held.use_count() == 1);
}

BOOST_AUTO_TEST_CASE(healthy_threads_of_a_broken_pool_run_handlers) {
    std::atomic<int> starts{0};
    ThreadPoolExecutor pool({.max_workers = 2, .thread_name_prefix = "", .initializer = [&starts] {
                                 if (++starts == 2) {
                                     throw std::runtime_error("failed");
                                 }
                             }});
    auto handled = asio::post(pool.get_executor(), std::packaged_task<void()>([] {}));
    BOOST_TEST(in_time(handled));
    pool.shutdown();
}

BOOST_AUTO_TEST_SUITE_END()
