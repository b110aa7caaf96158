#include <cofutures/executor_stats.hpp>

#define BOOST_TEST_MODULE thread_pool_stats
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include "core/task_place.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace cofutures;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

std::uint64_t accounted_for(const ExecutorStats& stats) {
    return stats.queued + stats.running + stats.completed + stats.failed + stats.cancelled;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(thread_pool_stats)

BOOST_AUTO_TEST_CASE(a_new_pool_has_done_nothing) {
    const ThreadPoolExecutor pool(2);
    BOOST_TEST((pool.stats() == ExecutorStats{}));
}

BOOST_AUTO_TEST_CASE(whoever_sees_a_future_done_finds_it_counted) {
    ThreadPoolExecutor pool(2);
    for (std::uint64_t i = 1; i <= 1000; ++i) {
        pool.submit([] {}).result();
        const ExecutorStats stats = pool.stats();
        BOOST_REQUIRE(stats.completed == i);
        BOOST_REQUIRE(stats.running == 0U);
        BOOST_REQUIRE(stats.idle == stats.workers);
        BOOST_REQUIRE(accounted_for(stats) == stats.submitted);
    }
}

BOOST_AUTO_TEST_CASE(a_failed_call_is_counted_as_failed) {
    ThreadPoolExecutor pool(1);
    pool.submit([] { throw std::runtime_error("no"); }).wait();
    BOOST_TEST(pool.stats().failed == 1U);
    BOOST_TEST(pool.stats().completed == 0U);
}

BOOST_AUTO_TEST_CASE(running_and_queued_calls_are_told_apart) {
    ThreadPoolExecutor pool(1);
    Gate began;
    Gate may_end;
    const auto running = pool.submit([&] {
        began.open();
        may_end.wait();
    });
    const auto queued = pool.submit([] {});
    began.wait();
    const ExecutorStats stats = pool.stats();
    BOOST_TEST(stats.running == 1U);
    BOOST_TEST(stats.queued == 1U);
    BOOST_TEST(stats.workers == 1U);
    BOOST_TEST(stats.idle == 0U);
    may_end.open();
    queued.result();
}

BOOST_AUTO_TEST_CASE(a_cancelled_call_is_queued_no_longer_although_no_worker_came_to_it) {
    ThreadPoolExecutor pool(1);
    Gate may_end;
    const auto running = pool.submit([&] { may_end.wait(); });
    auto queued = pool.submit([] {});
    BOOST_TEST(queued.cancel());
    BOOST_TEST(queued.cancel());
    const ExecutorStats stats = pool.stats();
    BOOST_TEST(stats.cancelled == 1U);
    BOOST_TEST(accounted_for(stats) == 2U);
    may_end.open();
    pool.shutdown();
    BOOST_TEST(pool.stats().cancelled == 1U);
    BOOST_TEST(pool.stats().completed == 1U);
    BOOST_TEST(pool.stats().workers == 0U);
}

BOOST_AUTO_TEST_CASE(a_call_that_runs_in_place_is_counted_once) {
    ThreadPoolExecutor pool(1);
    pool.submit([&] {
            const auto inner = pool.submit([&] {
                BOOST_TEST(pool.stats().running == 2U);
                BOOST_TEST(pool.stats().queued == 0U);
            });
            inner.result();
            BOOST_TEST(pool.stats().completed == 1U);
        }
    ).result();
    pool.shutdown();
    BOOST_TEST(pool.stats().completed == 2U);
    BOOST_TEST(pool.stats().submitted == 2U);
}

BOOST_AUTO_TEST_CASE(refused_calls_are_not_counted) {
    ThreadPoolExecutor pool(1);
    pool.shutdown();
    BOOST_CHECK_THROW(pool.submit([] {}), ShutdownError);
    BOOST_TEST(pool.stats().submitted == 0U);
}

BOOST_AUTO_TEST_CASE(calls_of_a_broken_pool_are_counted_as_failed) {
    ThreadPoolExecutor pool({.max_workers = 1, .initializer = [] {
                                 throw 1;
                             }});
    pool.submit([] {}).wait();
    const ExecutorStats stats = pool.stats();
    BOOST_TEST(stats.failed == 1U);
    BOOST_TEST(accounted_for(stats) == stats.submitted);
}

BOOST_AUTO_TEST_CASE(every_snapshot_adds_up_under_load) {
    ThreadPoolExecutor pool(3);
    std::atomic<bool> stop{false};
    std::thread producer([&] {
        while (!stop) {
            auto future = pool.submit([] {});
            pool.submit([] { throw 1; });
            future.cancel();
        }
    });
    std::uint64_t ended = 0;
    for (int i = 0; i < 20'000; ++i) {
        const ExecutorStats stats = pool.stats();
        BOOST_REQUIRE(accounted_for(stats) == stats.submitted);
        BOOST_REQUIRE(stats.running <= stats.workers);
        BOOST_REQUIRE(stats.completed + stats.failed + stats.cancelled >= ended);
        ended = stats.completed + stats.failed + stats.cancelled;
    }
    stop = true;
    producer.join();
}

BOOST_AUTO_TEST_CASE(a_call_that_left_its_worker_runs_until_it_has_ended) {
    class Leaver final : public detail::State<void> {
    public:
        void run() noexcept override {
            detail::StateBase* outer = nullptr;
            if (begin_run(outer)) {
                leave_run(outer, nullptr);
                left.open();
            }
        }
        void end() {
            end_elsewhere(false);
            finish();
        }
        Gate left;
    };
    class Pool : public ThreadPoolExecutor {
    public:
        using ThreadPoolExecutor::enqueue;
        using ThreadPoolExecutor::ThreadPoolExecutor;
    };
    Pool pool(1);
    const boost::intrusive_ptr<Leaver> task(new Leaver);
    pool.enqueue(task);
    task->left.wait();
    BOOST_TEST(pool.stats().running == 1U);
    BOOST_TEST(pool.stats().idle == 1U);
    task->end();
    BOOST_TEST(pool.stats().running == 0U);
    BOOST_TEST(pool.stats().completed == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
