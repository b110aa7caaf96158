#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE parity_max_tasks
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

// The cases of CPython's test_process_pool.py and test_shutdown.py about workers that leave after a
// number of tasks, and about the pool's end while they do. Left out:
// test_max_tasks_per_child_defaults_to_spawn_context, as workers are always programs of their own.
// The half of test_shutdown_no_wait_max_tasks_gh119592 and
// test_gc_during_max_tasks_worker_exit_gh152967 in which the executor is dropped are one case here,
// of its destructor, which waits.

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int multiply(int a, int b) {
    return a * b;
}

int fail_or_give(bool fail, int value) {
    if (fail) {
        throw std::runtime_error("asked to fail");
    }
    return value;
}

std::vector<Future<int>> submit_products(ProcessPoolExecutor& executor, int count) {
    std::vector<Future<int>> futures;
    for (int i = 0; i < count; ++i) {
        futures.push_back(executor.submit(multiply, i, 3));
    }
    return futures;
}

void check_products(const std::vector<Future<int>>& futures) {
    for (std::size_t i = 0; i < futures.size(); ++i) {
        BOOST_TEST(futures[i].result(generous) == static_cast<int>(3 * i));
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(test_max_tasks)

BOOST_AUTO_TEST_CASE(test_max_tasks_per_child) {
    ProcessPoolExecutor executor({.max_workers = 1, .max_tasks_per_child = 3});
    const pid_t first = executor.submit(::getpid).result(generous);
    BOOST_TEST(executor.submit(::getpid).result(generous) == first);
    BOOST_TEST(executor.submit(::getpid).result(generous) == first);
    BOOST_TEST(executor.submit(::getpid).result(generous) != first);
    BOOST_TEST(executor.worker_pids().size() == 1U);
}

BOOST_AUTO_TEST_CASE(test_max_tasks_per_child_pending_tasks_gh115634) {
    struct Size {
        int workers;
        int limit;
        int tasks;
    };
    for (const auto& [workers, limit, tasks] : {Size{1, 2, 6}, Size{2, 2, 8}}) {
        ProcessPoolExecutor executor({.max_workers = workers, .max_tasks_per_child = limit});
        check_products(submit_products(executor, tasks));
    }
}

BOOST_AUTO_TEST_CASE(test_shutdown_no_wait_max_tasks_gh119592) {
    ProcessGate gate;
    ProcessPoolExecutor executor({.max_workers = 1, .max_tasks_per_child = 1});
    auto last_of_its_worker = executor.submit(pass, gate.name());
    const auto futures = submit_products(executor, 4);
    gate.wait_for_arrivals(1);
    executor.shutdown(false);
    gate.open();
    last_of_its_worker.result(generous);
    check_products(futures);
}

BOOST_AUTO_TEST_CASE(test_gc_during_max_tasks_worker_exit_gh152967) {
    std::vector<Future<int>> futures;
    {
        ProcessPoolExecutor executor({.max_workers = 1, .max_tasks_per_child = 1});
        futures = submit_products(executor, 4);
    }
    for (const auto& future : futures) {
        BOOST_TEST(future.done());
    }
    check_products(futures);
}

BOOST_AUTO_TEST_CASE(test_force_shutdown_during_max_tasks_worker_exit) {
    for (const bool kill : {false, true}) {
        ProcessGate gate;
        ProcessPoolExecutor executor({.max_workers = 1, .max_tasks_per_child = 1});
        auto running = executor.submit(pass, gate.name());
        const auto queued = submit_products(executor, 3);
        gate.wait_for_arrivals(1);
        kill ? executor.kill_workers() : executor.terminate_workers();
        gate.open();
        executor.shutdown();
        error_of<BrokenProcessPool>(running);
        for (const auto& future : queued) {  // and no worker was started for them
            BOOST_TEST(future.cancelled());
        }
        BOOST_TEST(executor.worker_pids().empty());
    }
}

// The program in front of the worker is gone when the second one is to start.
BOOST_AUTO_TEST_CASE(test_failed_worker_replacement_breaks_pool) {
    std::string launcher = "/tmp/cofutures-test-XXXXXX";
    ::close(::mkstemp(launcher.data()));
    std::filesystem::remove(launcher);
    std::filesystem::create_symlink("/usr/bin/env", launcher);
    ProcessPoolExecutor executor(
        {.max_workers = 1, .max_tasks_per_child = 1, .launcher = {launcher}}
    );
    ProcessGate gate;
    auto running = executor.submit(pass, gate.name());
    const auto queued = submit_products(executor, 3);
    gate.wait_for_arrivals(1);
    std::filesystem::remove(launcher);
    gate.open();
    running.result(generous);
    for (const auto& future : queued) {
        const auto error = error_of<BrokenProcessPool>(future);
        BOOST_REQUIRE(error);
        BOOST_TEST(std::string(error->what()).find(launcher) != std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(test_max_tasks_early_shutdown) {
    ProcessPoolExecutor executor({.max_workers = 3, .max_tasks_per_child = 1});
    const auto futures = submit_products(executor, 6);
    executor.shutdown();
    check_products(futures);
}

BOOST_AUTO_TEST_CASE(test_shutdown_gh_132969_case_1) {
    for (const int workers : {2, 4}) {  // the second is test_shutdown_gh_132969_case_2
        ProcessPoolExecutor executor({.max_workers = workers, .max_tasks_per_child = 1});
        auto failing = executor.submit(fail_or_give, true, 0);
        auto one = executor.submit(fail_or_give, false, 1);
        auto also_failing = executor.submit(fail_or_give, true, 0);
        executor.shutdown(false);
        error_of<std::runtime_error>(failing);
        error_of<std::runtime_error>(also_failing);
        BOOST_TEST(one.result(generous) == 1);
    }
}

BOOST_AUTO_TEST_SUITE_END()
