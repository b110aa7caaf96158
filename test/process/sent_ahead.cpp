#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE sent_ahead
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <csignal>
#include <cstddef>
#include <vector>

// What a pool sends to a busy worker ahead of its turn: until the worker begins it, it is pending.

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

/// Passes the gate if there is one: one function that is short, or as long as one likes.
int pass_if(bool long_one, const GateName& gate) {
    if (long_one) {
        pass(gate);
    }
    return 1;
}

/// One worker that runs a task until the gate opens, and short ones behind it, thirty of them sent
/// ahead.
struct BehindLongTask {
    BehindLongTask() {
        const GateName none;
        for (int i = 0; i < 50; ++i) {  // so that they prove to be short
            pool.submit(pass_if, false, none).result(generous);
        }
        long_one = pool.submit(pass_if, true, gate.name());
        for (int i = 0; i < 60; ++i) {
            futures.push_back(pool.submit(pass_if, false, none));
        }
        gate.wait_for_arrivals(1);
    }

    ProcessGate gate{};
    ProcessPoolExecutor pool{{.max_workers = 1, .prefetch = 30}};
    Future<int> long_one{};
    std::vector<Future<int>> futures{};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sent_ahead)

BOOST_AUTO_TEST_CASE(what_is_behind_a_long_task_can_be_cancelled_and_is_run_by_others) {
    ProcessGate gate;
    ProcessPoolExecutor pool(2);
    const GateName none;
    std::vector<Future<int>> warm_up;
    for (int i = 0; i < 500; ++i) {
        warm_up.push_back(pool.submit(pass_if, false, none));
    }
    for (const auto& future : warm_up) {
        future.result(generous);
    }
    auto long_one = pool.submit(pass_if, true, gate.name());
    std::vector<Future<int>> futures;
    for (int i = 0; i < 200; ++i) {
        futures.push_back(pool.submit(pass_if, false, none));
    }
    for (const auto& future : futures) {  // though the gate is closed
        BOOST_TEST(future.result(generous) == 1);
    }
    auto other = pool.submit(pass_if, true, gate.name());
    gate.wait_for_arrivals(2);
    auto behind = pool.submit(pass_if, false, none);
    BOOST_TEST(!behind.running());
    BOOST_TEST(behind.cancel());
    BOOST_TEST(pool.stats().running == 2U);
    gate.open();
    BOOST_TEST(other.result(generous) == 1);
    pool.shutdown();
    check_sum(pool.stats());
}

BOOST_AUTO_TEST_CASE(what_was_sent_ahead_is_pending_until_a_worker_begins_it) {
    BehindLongTask its;
    auto& [gate, pool, long_one, futures] = its;
    BOOST_TEST(long_one.running());
    BOOST_TEST(!long_one.cancel());
    for (std::size_t i = 0; i < futures.size(); ++i) {
        BOOST_TEST(!futures[i].running());
        if (i % 3 == 1) {
            BOOST_TEST(futures[i].cancel());
            BOOST_TEST(futures[i].cancelled());
        }
    }
    BOOST_TEST(pool.stats().cancelled == 20U);
    BOOST_TEST(pool.stats().running == 1U);
    check_sum(pool.stats());
    gate.open();
    BOOST_TEST(long_one.result(generous) == 1);
    for (std::size_t i = 0; i < futures.size(); ++i) {
        if (i % 3 != 1) {
            BOOST_TEST(futures[i].result(generous) == 1);
        }
    }
    BOOST_TEST(pool.submit(pass_if, false, GateName()).result(generous) == 1);
    pool.shutdown();
    BOOST_TEST(pool.stats().completed == 50U + 1U + 40U + 1U);
    check_sum(pool.stats());
}

BOOST_AUTO_TEST_CASE(a_shutdown_cancels_what_was_sent_ahead) {
    BehindLongTask its;
    auto& [gate, pool, long_one, futures] = its;
    pool.shutdown(false, true);
    for (const auto& future : futures) {
        BOOST_TEST(future.cancelled());
    }
    gate.open();
    BOOST_TEST(long_one.result(generous) == 1);
    pool.shutdown();
    BOOST_TEST(pool.stats().cancelled == 60U);
    check_sum(pool.stats());
}

BOOST_AUTO_TEST_CASE(a_death_amid_short_tasks_costs_one_of_them) {
    ProcessPoolExecutor pool({.max_workers = 2, .on_worker_death = WorkerDeath::replace});
    std::vector<Future<int>> futures;
    for (int i = 0; i < 3000; ++i) {
        futures.push_back(pool.submit(
            [](int value) {
                if (value == 1500) {
                    ::raise(SIGKILL);
                }
                return value;
            },
            i
        ));
    }
    int lost = 0;
    for (int i = 0; i < 3000; ++i) {
        const auto& future = futures[static_cast<std::size_t>(i)];
        if (future.exception(generous)) {
            ++lost;
            BOOST_TEST(i == 1500);
            error_of<WorkerDiedError>(future);
        } else {
            BOOST_TEST(future.result() == i);
        }
    }
    BOOST_TEST(lost == 1);
}

BOOST_AUTO_TEST_SUITE_END()
