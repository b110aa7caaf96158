#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE test_thread_pool
#include <boost/test/unit_test.hpp>

#include "support/forked_child.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/thread_state.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include <sched.h>
#include <unistd.h>

// After CPython's test_thread_pool.py, class ThreadPoolExecutorTest.

using namespace cofutures;
using cofutures::test::falls_asleep;
using cofutures::test::Gate;
using cofutures::test::Holdings;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// The threads that a pool has once it has been given more calls than it can run at once.
std::size_t threads_when_saturated(ThreadPoolExecutor& pool, std::size_t calls) {
    const std::size_t before = Holdings::now().threads;
    Gate may_end;
    std::vector<Future<void>> futures;
    for (std::size_t i = 0; i < calls; ++i) {
        futures.push_back(pool.submit([&may_end] { may_end.wait(); }));
    }
    // A call is given to a thread at once, or by the thread that was given the one before.
    const auto running = [&] {
        return static_cast<std::size_t>(std::count_if(
            futures.begin(), futures.end(), [](const auto& future) { return future.running(); }
        ));
    };
    const auto deadline = std::chrono::steady_clock::now() + cofutures::test::generous;
    std::size_t threads = 0;
    do {
        std::this_thread::yield();
        threads = Holdings::now().threads - before;
    } while (running() != threads && std::chrono::steady_clock::now() < deadline);
    may_end.open();
    for (const auto& future : futures) {
        future.result();
    }
    return threads;
}

// Forks a child that does nothing but use a pool of its own; says whether it ended well and in
// time.
bool fork_a_process() {
    return cofutures::test::holds_in_child([] {
        ThreadPoolExecutor pool(1);
        return pool.submit([] { return 0; }).result() == 0;
    });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ThreadPoolExecutorTest)

BOOST_AUTO_TEST_CASE(test_default_workers) {
    ThreadPoolExecutor pool;
    cpu_set_t cpus;
    BOOST_REQUIRE(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
    // A quota on processor time counts too, so there may be fewer.
    const auto most = std::min<std::size_t>(32, static_cast<std::size_t>(CPU_COUNT(&cpus)) + 4);
    const std::size_t threads = threads_when_saturated(pool, 40);
    BOOST_TEST(threads >= 5u);
    BOOST_TEST(threads <= most);
}

BOOST_AUTO_TEST_CASE(test_saturation) {
    constexpr int max_workers = 4;
    ThreadPoolExecutor pool(max_workers);
    BOOST_TEST(threads_when_saturated(pool, 15 * max_workers) == 4u);
}

// A thread that has just given its result may not be idle yet: that is waited for here.
BOOST_AUTO_TEST_CASE(test_idle_thread_reuse) {
    const std::size_t before = Holdings::now().threads;
    ThreadPoolExecutor pool(5);
    std::set<pid_t> threads;
    for (int i = 0; i < 3; ++i) {
        const pid_t thread = pool.submit(gettid).result();
        BOOST_REQUIRE(falls_asleep(thread));
        threads.insert(thread);
    }
    BOOST_TEST(threads.size() == 1u);
    BOOST_TEST(Holdings::now().threads == before + 1);
}

// Processes are forked while a pool submits to itself; no lock of the library's stays locked in
// them.
BOOST_AUTO_TEST_CASE(
    test_hang_global_shutdown_lock,
    *boost::unit_test::enable_if<cofutures::test::allocator_survives_forks>()
) {
    ThreadPoolExecutor pool(1);
    std::atomic<bool> stop{false};
    const std::function<void()> submit_again = [&] {
        if (!stop) {
            pool.submit(submit_again);
        }
    };
    pool.submit(submit_again);
    for (int i = 0; i < 50; ++i) {
        BOOST_TEST(fork_a_process());
    }
    stop = true;
    // The task that submits itself must not outlive what it refers to.
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(test_process_fork_from_a_threadpool) {
    ThreadPoolExecutor pool(1);
    BOOST_TEST(pool.submit(fork_a_process).result());
}

// From test_interpreter_pool.py: all tasks end if each is let go when it has reported, whether or
// not each has a worker of its own.
BOOST_AUTO_TEST_CASE(test_blocking_with_limited_workers) {
    constexpr std::size_t tasks = 4;
    for (const int workers : {static_cast<int>(tasks), 1}) {
        ThreadPoolExecutor pool(workers);
        std::vector<Gate> began(tasks);
        std::vector<Gate> may_end(tasks);
        std::vector<Future<void>> futures;
        for (std::size_t i = 0; i < tasks; ++i) {
            futures.push_back(pool.submit([&, i] {
                began[i].open();
                may_end[i].wait();
            }));
        }
        for (std::size_t i = 0; i < tasks; ++i) {
            began[i].wait();
            may_end[i].open();
        }
        for (const auto& future : futures) {
            future.result();
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
