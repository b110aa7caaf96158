#include <cofutures/blocking_region.hpp>

#define BOOST_TEST_MODULE extra_threads
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/wait.hpp>

#include "support/eventually.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <boost/asio/post.hpp>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::eventually;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

void wait_until_workers(const ThreadPoolExecutor& pool, std::size_t count) {
    BOOST_REQUIRE(eventually([&] { return pool.stats().workers == count; }));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(extra_threads)

BOOST_AUTO_TEST_CASE(the_number_must_not_be_negative) {
    try {
        const ThreadPoolExecutor pool({.max_extra_threads = -1});
        BOOST_ERROR("it was accepted");
    } catch (const std::invalid_argument& error) {
        BOOST_TEST(error.what() == std::string("max_extra_threads must be >= 0"));
    }
}

BOOST_AUTO_TEST_CASE(outside_of_a_pool_a_region_does_nothing) {
    const blocking_region outer;
    const blocking_region inner;
}

BOOST_AUTO_TEST_CASE(the_queue_moves_while_a_task_is_in_a_region) {
    ThreadPoolExecutor pool({.max_workers = 1, .max_extra_threads = 1});
    Gate gate;
    const auto blocked = pool.submit([&] {
        const blocking_region outer;
        const blocking_region inner;
        gate.wait();
    });
    pool.submit([&] { gate.open(); }).result();
    blocked.result();
    wait_until_workers(pool, 1);
}

BOOST_AUTO_TEST_CASE(without_extra_threads_a_region_does_nothing) {
    ThreadPoolExecutor pool(1);
    Gate gate;
    const auto blocked = pool.submit([&] {
        const blocking_region blocks;
        gate.wait();
    });
    const auto queued = pool.submit([] {});
    BOOST_TEST(!queued.wait_for(20ms));
    gate.open();
    queued.result();
}

BOOST_AUTO_TEST_CASE(waits_for_work_outside_of_the_pool_count_as_regions) {
    ThreadPoolExecutor pool({.max_workers = 2, .max_extra_threads = 1});
    Promise<void> outside;
    const auto awaited = outside.get_future();
    const auto first = pool.submit([&] { awaited.result(); });
    const auto second = pool.submit([&] {
        const std::vector<Future<void>> futures{awaited};
        wait(futures);
    });
    pool.submit([&] { outside.set_result(); }).result();
    first.result();
    second.result();
}

BOOST_AUTO_TEST_CASE(no_more_tasks_are_at_work_than_max_workers) {
    ThreadPoolExecutor pool({.max_workers = 1, .max_extra_threads = 4});
    std::atomic<int> at_work{0};
    std::atomic<bool> too_many{false};
    std::vector<Future<void>> futures;
    for (int i = 0; i < 200; ++i) {
        futures.push_back(pool.submit([&] {
            const blocking_region blocks;
            std::this_thread::yield();
        }));
        futures.push_back(pool.submit([&] {
            too_many = too_many || ++at_work > 2;  // one, and one that left a region meanwhile
            --at_work;
        }));
    }
    for (const auto& future : futures) {
        future.result();
    }
    BOOST_TEST(pool.stats().workers <= 5U);
}

BOOST_AUTO_TEST_CASE(a_region_helps_tasks_while_threads_are_shared_with_asio) {
    ThreadPoolExecutor pool({.max_workers = 1, .max_extra_threads = 1});
    Gate handled;
    boost::asio::post(pool.get_executor(), [&] { handled.open(); });
    handled.wait();
    Gate gate;
    const auto blocked = pool.submit([&] {
        const blocking_region blocks;
        gate.wait();
    });
    pool.submit([&] { gate.open(); }).result();
    blocked.result();
}

BOOST_AUTO_TEST_CASE(a_cycle_of_waits_is_still_found) {
    ThreadPoolExecutor pool({.max_workers = 2, .max_extra_threads = 2});
    Promise<Future<void>> second_of_first;
    const auto first = pool.submit([&] { second_of_first.get_future().result().result(); });
    const auto second = pool.submit([&] { first.result(); });
    second_of_first.set_result(second);
    BOOST_CHECK_THROW(second.result(), DeadlockError);
}

BOOST_AUTO_TEST_SUITE_END()
