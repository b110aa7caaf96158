#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE thread_pool_fork
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include "support/forked_child.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::generous;
using cofutures::test::holds_in_child;
using cofutures::test::is_refused;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

BOOST_AUTO_TEST_SUITE(thread_pool_fork)

BOOST_AUTO_TEST_CASE(in_a_forked_child_every_use_is_an_error) {
    ThreadPoolExecutor pool(2);
    pool.submit([] {}).result();
    BOOST_TEST(holds_in_child([&] {
        return is_refused<BrokenThreadPool>([&] { pool.submit([] {}); });
    }));
    BOOST_TEST(holds_in_child([&] {
        return is_refused<BrokenThreadPool>([&] { pool.try_submit([] {}); });
    }));
    BOOST_TEST(holds_in_child([&] { return is_refused<BrokenThreadPool>([&] { pool.shutdown(); }); }
    ));
    BOOST_TEST(holds_in_child([&] {
        return is_refused<BrokenThreadPool>([&] { pool.shutdown(false); });
    }));
    BOOST_TEST(holds_in_child([&] {
        return is_refused<BrokenThreadPool>([&] { pool.shutdown_for(1s); });
    }));
    BOOST_TEST(holds_in_child([&] {
        return is_refused<BrokenThreadPool>([&] { static_cast<void>(pool.get_executor()); });
    }));
    BOOST_TEST(holds_in_child([&] {
        return is_refused<BrokenThreadPool>([&] {
            const std::vector<int> items{1, 2, 3};
            static_cast<void>(pool.map([](int i) { return i; }, items));
        });
    }));
    BOOST_TEST(holds_in_child([&] {
        return is_refused<BrokenThreadPool>([&] { static_cast<void>(pool.stats()); });
    }));
    BOOST_TEST(pool.submit([] { return 3; }).result() == 3);
}

BOOST_AUTO_TEST_CASE(in_a_forked_child_a_wait_for_what_cannot_end_is_an_error) {
    ThreadPoolExecutor pool(1);
    Gate begun;
    Gate may_end;
    const auto running = pool.submit([&] {
        begun.open();
        may_end.wait();
    });
    const auto queued = pool.submit([] {});
    const auto after = queued.then([] { return 1; });
    begun.wait();
    const auto never_ends = [](const auto& future) {
        return holds_in_child([&] { return is_refused<DeadlockError>([&] { future.result(); }); });
    };
    BOOST_TEST(never_ends(running));
    BOOST_TEST(never_ends(queued));
    BOOST_TEST(never_ends(after));
    BOOST_TEST(holds_in_child([&] { return !queued.wait_for(1ms); }));
    may_end.open();
    BOOST_TEST(after.result(generous) == 1);
}

BOOST_AUTO_TEST_CASE(in_a_forked_child_a_map_gives_what_it_has_and_refuses_to_wait_for_more) {
    const std::vector<int> items{0, 1};
    const auto check = [](auto start) {
        Gate begun;
        Gate may_end;
        ThreadPoolExecutor pool(1);
        auto results = start(pool, [&](int item) {
            if (item == 1) {
                begun.open();
                may_end.wait();
            }
            return item;
        });
        begun.wait();
        BOOST_TEST(holds_in_child([&] {
            return results.next() == 0 && is_refused<DeadlockError>([&] { results.next(); });
        }));
        may_end.open();
        BOOST_TEST((results.next() == 0));
        BOOST_TEST((results.next() == 1));
    };
    check([&](auto& pool, auto fn) { return pool.map(fn, items); });
    check([&](auto& pool, auto fn) { return pool.map({.buffersize = 2}, fn, items); });
    check([&](auto& pool, auto fn) { return pool.map_unordered(fn, items); });
}

BOOST_AUTO_TEST_CASE(the_destructor_in_the_child_neither_hangs_nor_crashes) {
    std::optional<ThreadPoolExecutor> pool(std::in_place, 2);
    Gate may_end;
    const auto running = pool->submit([&] { may_end.wait(); });
    const auto queued = pool->submit([] {});
    BOOST_TEST(holds_in_child([&] {
        pool.reset();
        return true;
    }));
    may_end.open();
    queued.result();
}

BOOST_AUTO_TEST_CASE(a_pool_that_the_child_makes_works_also_inside_a_task) {
    ThreadPoolExecutor pool(2);
    const auto works = [] {
        return holds_in_child([] {
            ThreadPoolExecutor own(2);
            return own.submit([] { return 1; }).result() == 1;
        });
    };
    BOOST_TEST(works());
    BOOST_TEST(pool.submit(works).result());
}

BOOST_AUTO_TEST_CASE(
    forks_while_the_pool_is_busy_all_come_out_well,
    *boost::unit_test::enable_if<cofutures::test::allocator_survives_forks>()
) {
    ThreadPoolExecutor pool(2);
    std::atomic<bool> stop{false};
    std::thread load([&] {
        while (!stop) {
            pool.submit([] {}).wait();
        }
    });
    for (int i = 0; i < 50; ++i) {
        BOOST_TEST(holds_in_child([&] {
            ThreadPoolExecutor own(1);
            return is_refused<BrokenThreadPool>([&] { pool.submit([] {}); }) &&
                   own.submit([] { return true; }).result();
        }));
    }
    stop = true;
    load.join();
}

BOOST_AUTO_TEST_SUITE_END()
