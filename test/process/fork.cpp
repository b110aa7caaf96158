#include <cofutures/process_pool_executor.hpp>
#include <cofutures/share.hpp>

#define BOOST_TEST_MODULE process_pool_fork
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/forked_child.hpp"
#include "support/leak_check.hpp"

#include <chrono>
#include <optional>
#include <vector>

// A process that has a pool forks, by itself: the workers stay the parent's.

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int twice(int value) {
    return 2 * value;
}

int pass_if(bool long_one, const GateName& gate) {
    if (long_one) {
        pass(gate);
    }
    return 1;
}

long sum(const std::vector<long>& values) {
    long total = 0;
    for (const long value : values) {
        total += value;
    }
    return total;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(process_pool_fork)

BOOST_AUTO_TEST_CASE(in_a_forked_child_every_use_is_an_error) {
    ProcessPoolExecutor pool({.max_workers = 1, .max_queue = 5});
    BOOST_TEST(pool.submit(twice, 1).result(generous) == 2);
    const auto refused = [](auto call) {
        return holds_in_child([&] { return is_refused<BrokenProcessPool>(call); });
    };
    BOOST_TEST(refused([&] { pool.submit(twice, 1); }));
    BOOST_TEST(refused([&] { pool.try_submit(twice, 1); }));
    BOOST_TEST(refused([&] { pool.shutdown(); }));
    BOOST_TEST(refused([&] { pool.shutdown(false); }));
    BOOST_TEST(refused([&] { pool.shutdown_for(1s); }));
    BOOST_TEST(refused([&] { pool.terminate_workers(); }));
    BOOST_TEST(refused([&] { pool.kill_workers(); }));
    BOOST_TEST(refused([&] { static_cast<void>(pool.stats()); }));
    BOOST_TEST(refused([&] { static_cast<void>(pool.worker_pids()); }));
    BOOST_TEST(refused([&] {
        const std::vector<int> items{1, 2, 3};
        static_cast<void>(pool.map(twice, items));
    }));
    BOOST_TEST(pool.submit(twice, 2).result(generous) == 4);
}

BOOST_AUTO_TEST_CASE(in_a_forked_child_a_wait_for_what_cannot_end_is_an_error) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    const auto running = pool.submit(pass_if, true, gate.name());
    const auto queued = pool.submit(twice, 1);
    const std::vector<int> items{1, 2};
    auto results = pool.map(twice, items);
    gate.wait_for_arrivals(1);
    const auto never_ends = [](auto call) {
        return holds_in_child([&] { return is_refused<DeadlockError>(call); });
    };
    BOOST_TEST(never_ends([&] { running.result(); }));
    BOOST_TEST(never_ends([&] { queued.result(); }));
    BOOST_TEST(never_ends([&] { results.next(); }));
    BOOST_TEST(holds_in_child([&] { return !queued.wait_for(1ms); }));
    gate.open();
    BOOST_TEST(queued.result(generous) == 2);
    BOOST_TEST((results.next() == 2));
}

BOOST_AUTO_TEST_CASE(a_forked_child_cancels_none_of_the_parents_tasks) {
    const GateName none;
    ProcessGate gate;
    ProcessPoolExecutor pool({.max_workers = 1, .prefetch = 30});
    for (int i = 0; i < 50; ++i) {  // so that they prove to be short, and are sent ahead
        pool.submit(pass_if, false, none).result(generous);
    }
    const auto running = pool.submit(pass_if, true, gate.name());
    std::vector<Future<int>> behind;
    for (int i = 0; i < 60; ++i) {
        behind.push_back(pool.submit(pass_if, false, none));
    }
    gate.wait_for_arrivals(1);
    BOOST_TEST(holds_in_child([&] {
        for (const auto& future : behind) {
            future.cancel();
        }
        return true;
    }));
    gate.open();
    for (const auto& future : behind) {
        BOOST_TEST(future.result(generous) == 1);
    }
    BOOST_TEST(running.result(generous) == 1);
}

BOOST_AUTO_TEST_CASE(the_destructors_in_the_child_leave_the_parent_what_is_its) {
    std::optional<ProcessPoolExecutor> pool(std::in_place, 1);
    auto table = std::make_optional(share(std::vector<long>(100'000, 1)));
    BOOST_TEST(pool->submit(sum, *table).result(generous) == 100'000);
    BOOST_TEST(holds_in_child([&] {
        table.reset();
        pool.reset();
        return true;
    }));
    BOOST_TEST(pool->submit(sum, *table).result(generous) == 100'000);
    BOOST_TEST(pool->stats().worker_deaths == 0U);
}

BOOST_AUTO_TEST_CASE(a_child_that_lives_on_does_not_keep_the_parents_workers) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    BOOST_TEST(pool.submit(twice, 1).result(generous) == 2);
    const GateName name = gate.name();
    const ForkedChild child([&] {
        pass(name);
        return true;
    });
    gate.wait_for_arrivals(1);
    BOOST_TEST(pool.shutdown_for(generous));
    gate.open();
    BOOST_TEST(child.holds());
}

BOOST_AUTO_TEST_CASE(a_pool_that_the_child_makes_works) {
    ProcessPoolExecutor pool(1);
    BOOST_TEST(pool.submit(twice, 1).result(generous) == 2);
    BOOST_TEST(holds_in_child([] {
        ProcessPoolExecutor own(1);
        return own.submit(twice, 2).result() == 4;
    }));
}

BOOST_AUTO_TEST_SUITE_END()
