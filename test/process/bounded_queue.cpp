#include <cofutures/process_pool_executor.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE bounded_queue
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

// ProcessPoolOptions::max_queue: who waits for room, and who does not.

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int twice(int value) {
    return 2 * value;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bounded_queue)

BOOST_AUTO_TEST_CASE(a_full_queue_refuses_or_says_so) {
    ProcessGate gate;
    ProcessPoolExecutor pool({.max_workers = 1, .max_queue = 2, .on_full = OnFull::reject});
    auto running = pool.submit(pass, gate.name());
    auto second = pool.submit(twice, 2);
    auto third = pool.try_submit(twice, 3);
    BOOST_TEST(third.has_value());
    BOOST_CHECK_THROW(pool.submit(twice, 4), QueueFullError);
    BOOST_TEST(!pool.try_submit(twice, 4).has_value());
    BOOST_TEST(third->cancel());
    auto fourth = pool.try_submit(twice, 4);
    BOOST_TEST(fourth.has_value());
    gate.open();
    BOOST_TEST(second.result(generous) == 4);
    BOOST_TEST(fourth->result(generous) == 8);
    const ExecutorStats stats = pool.stats();
    BOOST_TEST(stats.submitted == 4U);
    BOOST_TEST(stats.cancelled == 1U);
    check_sum(stats);
}

BOOST_AUTO_TEST_CASE(submit_waits_for_room_in_order) {
    ProcessGate gate;
    ProcessPoolExecutor pool({.max_workers = 1, .max_queue = 1});
    auto running = pool.submit(pass, gate.name());
    auto queued = pool.submit(twice, 1);
    std::atomic<int> taken{0};
    std::vector<std::thread> threads;
    std::vector<Future<int>> futures(3);
    for (std::size_t t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            futures[t] = pool.submit(twice, 10);
            ++taken;
        });
    }
    BOOST_TEST(!pool.try_submit(twice, 4).has_value());
    BOOST_TEST(taken == 0);
    gate.open();
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (const auto& future : futures) {
        BOOST_TEST(future.result(generous) == 20);
    }
    check_sum(pool.stats());
}

BOOST_AUTO_TEST_CASE(a_cancelled_task_makes_room_for_one_that_waits) {
    ProcessGate gate;
    ProcessPoolExecutor pool({.max_workers = 1, .max_queue = 1});
    auto running = pool.submit(pass, gate.name());
    auto queued = pool.submit(twice, 1);
    Future<int> last;
    std::thread waiter([&] { last = pool.submit(twice, 2); });
    BOOST_TEST(queued.cancel());
    waiter.join();
    BOOST_TEST(!last.done());
    gate.open();
    BOOST_TEST(last.result(generous) == 4);
}

BOOST_AUTO_TEST_CASE(whoever_waits_for_room_hears_of_the_shutdown) {
    ProcessGate gate;
    ProcessPoolExecutor pool({.max_workers = 1, .max_queue = 1});
    auto running = pool.submit(pass, gate.name());
    auto queued = pool.submit(twice, 1);
    std::thread waiter([&] { thrown_by<ShutdownError>([&] { pool.submit(twice, 2); }); });
    // Either it waits already, or it comes too late: the error is the same.
    pool.shutdown(false);
    waiter.join();
    gate.open();
    BOOST_TEST(queued.result(generous) == 2);
}

BOOST_AUTO_TEST_CASE(a_callback_goes_over_the_bound) {
    ProcessPoolExecutor pool({.max_workers = 1, .max_queue = 1});
    Gate done;
    std::vector<Future<int>> futures;
    pool.submit(twice, 1).add_done_callback([&] {
        for (int i = 0; i < 10; ++i) {
            futures.push_back(pool.submit(twice, i));
        }
        done.open();
    });
    done.wait();
    for (int i = 0; i < 10; ++i) {
        BOOST_TEST(futures[static_cast<std::size_t>(i)].result(generous) == 2 * i);
    }
}

BOOST_AUTO_TEST_CASE(a_map_over_a_bounded_pool_comes_to_its_end) {
    ProcessPoolExecutor pool({.max_workers = 2, .max_queue = 1});
    std::vector<int> numbers(5000, 3);
    int sum = 0;
    auto results = pool.map({.chunksize = 10}, twice, numbers);
    while (const auto value = results.next()) {
        sum += *value;
    }
    BOOST_TEST(sum == 30'000);
}

BOOST_AUTO_TEST_CASE(a_callback_that_waits_for_who_waits_for_room_is_found) {
    ThreadPoolExecutor threads(1);
    ProcessGate first;
    ProcessGate others;
    ProcessPoolExecutor pool({.max_workers = 1, .max_queue = 1});
    Gate in_callback;
    Promise<Future<bool>> submitting;
    Promise<bool> waited;
    pool.submit(pass, first.name()).add_done_callback([&] {
        in_callback.open();
        try {
            submitting.get_future().result().wait();
            waited.set_result(true);
        } catch (const DeadlockError&) {
            waited.set_result(false);
        }
    });
    first.open();
    in_callback.wait();
    std::vector<Future<pid_t>> full;
    while (auto task = pool.try_submit(pass, others.name())) {
        full.push_back(*task);
    }
    auto submits = threads.submit([&] {
        try {
            return pool.submit(twice, 1).result() == 2;
        } catch (const DeadlockError&) {
            return false;
        }
    });
    submitting.set_result(submits);
    // Whichever of them comes second is refused.
    const bool callback_waited = waited.get_future().result(generous);
    others.open();
    BOOST_TEST(submits.result(generous) == !callback_waited);
    for (const auto& task : full) {
        task.result(generous);
    }
}

BOOST_AUTO_TEST_SUITE_END()
