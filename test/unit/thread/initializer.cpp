#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE thread_pool_initializer
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include "support/blocker.hpp"
#include "support/eventually.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/message_of.hpp"
#include "support/object_observer.hpp"

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

BOOST_AUTO_TEST_SUITE(thread_pool_initializer)

BOOST_AUTO_TEST_CASE(the_initializer_runs_once_in_each_thread_before_its_first_call) {
    static thread_local int initialized = 0;
    std::atomic<int> runs{0};
    {
        ThreadPoolExecutor pool({.max_workers = 3, .initializer = [&runs] {
                                     ++initialized, ++runs;
                                 }});
        for (int i = 0; i < 20; ++i) {
            BOOST_REQUIRE(pool.submit([] { return initialized; }).result() == 1);
        }
        std::vector<std::unique_ptr<Blocker>> blockers;
        for (int i = 0; i < 3; ++i) {
            blockers.push_back(std::make_unique<Blocker>(pool));
        }
    }
    BOOST_TEST(runs == 3);
}

BOOST_AUTO_TEST_CASE(a_failing_initializer_breaks_the_pool_with_its_exception_nested) {
    ThreadPoolExecutor pool({.max_workers = 2, .initializer = [] {
                                 throw std::runtime_error("no disk");
                             }});
    const auto future = pool.submit([] {});
    BOOST_TEST(message_of<BrokenThreadPool>([&] {
                   future.result();
               }) == "A thread initializer failed, the thread pool is not usable anymore");
    const std::string cause = "no disk";
    const auto submit = [&] {
        pool.submit([] {});
    };
    BOOST_TEST((cause_of<BrokenThreadPool, std::runtime_error>([&] { future.result(); }) == cause));
    BOOST_TEST((cause_of<BrokenThreadPool, std::runtime_error>(submit) == cause));
    pool.shutdown();
    BOOST_TEST((cause_of<BrokenThreadPool, std::runtime_error>(submit) == cause));
}

BOOST_AUTO_TEST_CASE(what_is_nested_may_be_of_any_type) {
    ThreadPoolExecutor pool({.max_workers = 1, .initializer = [] {
                                 throw 42;
                             }});
    const auto future = pool.submit([] {});
    try {
        future.result();
        BOOST_FAIL("the future holds no error");
    } catch (const BrokenThreadPool& error) {
        BOOST_CHECK_THROW(std::rethrow_if_nested(error), int);
    }
}

BOOST_AUTO_TEST_CASE(each_waiting_future_gets_an_exception_of_its_own) {
    Gate may_fail;
    ThreadPoolExecutor pool({.max_workers = 1, .initializer = [&may_fail] {
                                 may_fail.wait();
                                 throw std::runtime_error("failed");
                             }});
    std::vector<Future<void>> futures;
    ObjectCounts counts;
    for (int i = 0; i < 5; ++i) {
        futures.push_back(pool.submit([held = Observed(counts)] {}));
    }
    futures[2].cancel();
    may_fail.open();
    std::set<const void*> errors;
    for (const auto& future : futures) {
        if (future == futures[2]) {
            BOOST_TEST(future.cancelled());
            continue;
        }
        try {
            future.result();
        } catch (const BrokenThreadPool& error) {
            errors.insert(&error);
        }
    }
    BOOST_TEST(errors.size() == 4u);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(healthy_threads_end_what_they_run) {
    std::atomic<int> runs{0};
    ThreadPoolExecutor pool({.max_workers = 2, .initializer = [&runs] {
                                 if (++runs == 2) {
                                     throw std::runtime_error("the second one");
                                 }
                             }});
    Blocker blocker(pool);
    BOOST_CHECK_THROW(pool.submit([] {}).result(), BrokenThreadPool);
    BOOST_CHECK_THROW(pool.submit([] {}), BrokenThreadPool);
    BOOST_TEST(blocker.future().running());
    blocker.let_go();
    blocker.future().result();
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(an_initializer_that_fails_during_shutdown_does_not_hang_it) {
    Gate may_fail;
    ThreadPoolExecutor pool({.max_workers = 1, .initializer = [&may_fail] {
                                 may_fail.wait();
                                 throw std::runtime_error("failed");
                             }});
    const auto future = pool.submit([] {});
    std::thread other([&pool] { pool.shutdown(); });
    BOOST_REQUIRE(eventually([&pool] {
        try {
            pool.submit([] {}).cancel();
        } catch (const ShutdownError&) {
            return true;
        }
        return false;
    }));
    may_fail.open();
    other.join();
    BOOST_CHECK_THROW(future.result(), BrokenThreadPool);
}

BOOST_AUTO_TEST_CASE(callbacks_of_futures_that_broke_may_use_and_destroy_the_pool) {
    Gate may_fail;
    auto pool = std::make_unique<ThreadPoolExecutor>(ThreadPoolOptions{
        .max_workers = 1, .thread_name_prefix = "", .initializer = [&may_fail] {
            may_fail.wait();
            throw 1;
        }});
    std::string refused;
    std::string deadlock;
    Gate told;
    pool->submit([] {}).add_done_callback([&] {
        refused = message_of<BrokenThreadPool>([&] { pool->submit([] {}); });
        deadlock = message_of<DeadlockError>([&] { pool->shutdown(); });
        pool.reset();
        told.open();
    });
    may_fail.open();
    told.wait();
    BOOST_TEST(refused.starts_with("A thread initializer failed"));
    BOOST_TEST(deadlock.starts_with("shutdown(wait=true) was called inside a task"));
}

BOOST_AUTO_TEST_CASE(shutdown_inside_the_initializer_is_refused) {
    std::optional<ThreadPoolExecutor> pool;
    pool.emplace(ThreadPoolOptions{
        .max_workers = 1, .thread_name_prefix = "", .initializer = [&pool] {
            pool->shutdown();
        }});
    const auto future = pool->submit([] {});
    BOOST_TEST((cause_of<BrokenThreadPool, DeadlockError>([&] { future.result(); }
    ).starts_with("shutdown(wait=true) was called inside a task")));
}

BOOST_AUTO_TEST_SUITE_END()
