#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE test_shutdown_threads
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/promise.hpp>

#include "support/eventually.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <pthread.h>

// After CPython's test_shutdown.py, classes ExecutorShutdownTest and ThreadPoolShutdownTest. Left
// out: test_submit_after_interpreter_shutdown, as a pool that the end of the program has destroyed
// is no object any more.

using namespace cofutures;
using cofutures::test::eventually;
using cofutures::test::Gate;
using cofutures::test::Holdings;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

constexpr int worker_count = 5;

// Waits until the process has as many threads again as before.
bool threads_ended(std::size_t before) {
    return eventually([before] { return Holdings::now().threads <= before; });
}

// The names of all threads of a pool of `worker_count`.
std::set<std::string> names_of_threads(ThreadPoolExecutor& pool) {
    std::set<std::string> names;
    std::mutex mutex;  // guards names
    Gate all_began;
    std::vector<Future<void>> futures;
    for (int i = 0; i < worker_count; ++i) {
        futures.push_back(pool.submit([&] {
            std::array<char, 16> name{};
            pthread_getname_np(pthread_self(), name.data(), name.size());
            {
                const std::lock_guard lock(mutex);
                names.insert(name.data());
                if (names.size() == worker_count) {
                    all_began.open();
                }
            }
            all_began.wait();
        }));
    }
    for (const auto& future : futures) {
        future.result();
    }
    return names;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ExecutorShutdownTest)

BOOST_AUTO_TEST_CASE(test_run_after_shutdown) {
    ThreadPoolExecutor pool(worker_count);
    pool.shutdown();
    BOOST_CHECK_THROW(pool.submit([](int a, int b) { return a + b; }, 2, 5), ShutdownError);
}

// The other program's pool is a static object, and has tasks left when the program begins to end.
BOOST_AUTO_TEST_CASE(test_interpreter_shutdown) {
    std::FILE* program = popen(COFUTURES_ENDS_WITH_TASKS, "r");
    BOOST_REQUIRE(program != nullptr);
    std::string output;
    for (int c = std::fgetc(program); c != EOF; c = std::fgetc(program)) {
        output += static_cast<char>(c);
    }
    BOOST_TEST(pclose(program) == 0);
    BOOST_TEST(output == "apple");
}

BOOST_AUTO_TEST_CASE(test_hang_issue12364) {
    ThreadPoolExecutor pool(worker_count);
    std::vector<Future<int>> futures;
    for (int i = 0; i < 50; ++i) {
        futures.push_back(pool.submit([i] {
            std::this_thread::yield();
            return i;
        }));
    }
    pool.shutdown();
    for (int i = 0; i < 50; ++i) {
        BOOST_TEST(futures[static_cast<std::size_t>(i)].result() == i);
    }
}

BOOST_AUTO_TEST_CASE(test_cancel_futures) {
    ThreadPoolExecutor pool(worker_count);
    Gate may_end;
    std::atomic<int> begun{0};
    std::vector<Future<void>> futures;
    for (int i = 0; i < 50; ++i) {
        futures.push_back(pool.submit([&] {
            ++begun;
            may_end.wait();
        }));
    }
    while (begun < worker_count) {
        std::this_thread::yield();
    }
    pool.shutdown(false, true);
    may_end.open();
    pool.shutdown();
    int cancelled = 0;
    for (const auto& future : futures) {
        BOOST_REQUIRE(future.done());
        if (future.cancelled()) {
            ++cancelled;
        } else {
            BOOST_TEST((future.exception() == nullptr));
        }
    }
    BOOST_TEST(cancelled == 50 - worker_count);
}

BOOST_AUTO_TEST_CASE(test_hang_gh83386) {
    Promise<int> ended;
    {
        ThreadPoolExecutor pool(worker_count);
        Gate leaving;
        pool.submit([&] {
            leaving.wait();
            ended.set_result(1);
        });
        pool.shutdown(false);
        leaving.open();
    }
    BOOST_TEST(ended.get_future().done());
}

BOOST_AUTO_TEST_CASE(test_hang_gh94440) {
    ThreadPoolExecutor pool(1);
    Gate may_end;
    pool.submit([&may_end] { may_end.wait(); });
    const auto future = pool.submit([] {});
    BOOST_TEST(future.cancel());
    may_end.open();
    pool.shutdown(true);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(ThreadPoolShutdownTest)

BOOST_AUTO_TEST_CASE(test_threads_terminate) {
    const std::size_t before = Holdings::now().threads;
    ThreadPoolExecutor pool(worker_count);
    std::array<Gate, 3> began;
    Gate may_end;
    for (Gate& gate : began) {
        pool.submit([&] {
            gate.open();
            may_end.wait();
        });
    }
    for (const Gate& gate : began) {
        gate.wait();
    }
    BOOST_TEST(Holdings::now().threads == before + 3);
    may_end.open();
    pool.shutdown();
    BOOST_TEST(threads_ended(before));
}

BOOST_AUTO_TEST_CASE(test_context_manager_shutdown) {
    const std::size_t before = Holdings::now().threads;
    std::vector<Future<int>> futures;
    {
        ThreadPoolExecutor pool(5);
        for (int i = -5; i < 5; ++i) {
            futures.push_back(pool.submit([](int n) { return std::abs(n); }, i));
        }
    }
    BOOST_TEST(threads_ended(before));
    const std::vector<int> expected{5, 4, 3, 2, 1, 0, 1, 2, 3, 4};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        BOOST_REQUIRE(futures[i].done());
        BOOST_TEST(futures[i].result() == expected[i]);
    }
}

BOOST_AUTO_TEST_CASE(test_del_shutdown) {
    const std::size_t before = Holdings::now().threads;
    auto pool = std::make_unique<ThreadPoolExecutor>(5);
    Gate may_end;
    const auto blocked = pool->submit([&may_end] { may_end.wait(); });
    const auto queued = pool->submit([] { return 7; });
    may_end.open();
    pool.reset();
    BOOST_TEST(blocked.done());
    BOOST_TEST(queued.result() == 7);
    BOOST_TEST(threads_ended(before));
}

BOOST_AUTO_TEST_CASE(test_shutdown_no_wait) {
    const std::size_t before = Holdings::now().threads;
    ThreadPoolExecutor pool(5);
    std::vector<Future<int>> futures;
    for (int i = -5; i < 5; ++i) {
        futures.push_back(pool.submit([](int n) { return std::abs(n); }, i));
    }
    pool.shutdown(false);
    int sum = 0;
    for (const auto& future : futures) {
        sum += future.result();
    }
    BOOST_TEST(sum == 25);
    BOOST_TEST(threads_ended(before));
}

BOOST_AUTO_TEST_CASE(test_thread_names_assigned) {
    ThreadPoolExecutor pool({.max_workers = worker_count, .thread_name_prefix = "SpecialPool"});
    const std::set<std::string> expected{
        "SpecialPool_0", "SpecialPool_1", "SpecialPool_2", "SpecialPool_3", "SpecialPool_4"};
    BOOST_TEST(names_of_threads(pool) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(test_thread_names_default) {
    // ThreadPoolExecutor-N_0 and so on, of which the system keeps 15 characters.
    ThreadPoolExecutor pool(worker_count);
    const std::set<std::string> expected{
        "ThreadPoolExe_0",
        "ThreadPoolExe_1",
        "ThreadPoolExe_2",
        "ThreadPoolExe_3",
        "ThreadPoolExe_4"};
    BOOST_TEST(names_of_threads(pool) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(test_cancel_futures_wait_false) {
    std::optional<Future<void>> future;
    std::atomic<int> runs{0};
    {
        ThreadPoolExecutor pool(1);
        future = pool.submit([&runs] { ++runs; });
        pool.shutdown(false, true);
    }
    BOOST_TEST(runs == (future->cancelled() ? 0 : 1));
}

BOOST_AUTO_TEST_SUITE_END()
