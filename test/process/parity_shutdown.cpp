#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE parity_shutdown
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

BOOST_AUTO_TEST_SUITE(test_shutdown)

BOOST_AUTO_TEST_CASE(test_run_after_shutdown) {
    ProcessPoolExecutor executor(5);
    executor.shutdown();
    const auto error = thrown_by<ShutdownError>([&] { executor.submit(::abs, 1); });
    BOOST_REQUIRE(error);
    BOOST_TEST(std::string(error->what()) == "cannot schedule new futures after shutdown");
    executor.shutdown();
}

BOOST_AUTO_TEST_CASE(test_hang_issue12364) {
    ProcessPoolExecutor executor(5);
    std::vector<Future<int>> futures;
    for (int i = 0; i < 50; ++i) {
        futures.push_back(executor.submit([](int n) { return -n; }, i));
    }
    executor.shutdown();
    for (int i = 0; i < 50; ++i) {
        BOOST_TEST(futures[static_cast<std::size_t>(i)].done());
        BOOST_TEST(futures[static_cast<std::size_t>(i)].result() == -i);
    }
}

BOOST_AUTO_TEST_CASE(test_cancel_futures) {
    ProcessGate gate;
    ProcessPoolExecutor executor(5);
    std::vector<Future<pid_t>> futures;
    for (int i = 0; i < 50; ++i) {
        futures.push_back(executor.submit(pass, gate.name()));
    }
    gate.wait_for_arrivals(5);
    executor.shutdown(false, true);
    gate.open();
    executor.shutdown(true, true);
    const auto cancelled = std::count_if(futures.begin(), futures.end(), [](const auto& future) {
        return future.cancelled();
    });
    BOOST_TEST(cancelled == 45);
    for (const auto& future : futures) {
        BOOST_TEST(future.done());
        BOOST_TEST((future.cancelled() || future.exception() == nullptr));
    }
}

BOOST_AUTO_TEST_CASE(test_hang_gh83386) {
    ProcessGate gate;
    Future<pid_t> future;
    {
        ProcessPoolExecutor executor(2);
        future = executor.submit(pass, gate.name());
        executor.shutdown(false);
        BOOST_TEST(!future.done());
        gate.open();
    }
    BOOST_CHECK_NO_THROW(future.result());
}

BOOST_AUTO_TEST_CASE(test_hang_gh94440) {
    ProcessGate gate;
    ProcessPoolExecutor executor(1);
    executor.submit(pass, gate.name());
    auto cancelled = executor.submit(::abs, 1);
    auto also = executor.submit(::abs, 1);
    BOOST_TEST(cancelled.cancel());
    BOOST_TEST(also.cancel());
    gate.open();
    executor.shutdown();
}

BOOST_AUTO_TEST_CASE(test_processes_terminate) {
    ProcessGate gate;
    ProcessPoolExecutor executor(5);
    for (int i = 0; i < 3; ++i) {
        executor.submit(pass, gate.name());
    }
    gate.wait_for_arrivals(3);
    const std::vector<pid_t> processes = executor.worker_pids();
    BOOST_TEST(processes.size() == 3U);
    gate.open();
    executor.shutdown();
    for (const pid_t process : processes) {
        BOOST_TEST(wait_gone(process));
    }
    BOOST_TEST(executor.worker_pids().empty());
}

BOOST_AUTO_TEST_CASE(test_context_manager_shutdown) {
    std::vector<pid_t> processes;
    std::vector<Future<int>> futures;
    {
        ProcessPoolExecutor executor(5);
        for (int i = -5; i < 5; ++i) {
            futures.push_back(executor.submit(::abs, i));
        }
        futures.front().result(generous);
        processes = executor.worker_pids();
    }
    BOOST_TEST(!processes.empty());
    for (const pid_t process : processes) {
        BOOST_TEST(wait_gone(process));
    }
    for (std::size_t i = 0; i < futures.size(); ++i) {
        BOOST_TEST(futures[i].result() == std::abs(static_cast<int>(i) - 5));
    }
}

BOOST_AUTO_TEST_CASE(test_del_shutdown) {
    auto executor = std::make_unique<ProcessPoolExecutor>(5);
    std::vector<Future<int>> futures;
    for (int i = -5; i < 5; ++i) {
        futures.push_back(executor->submit(::abs, i));
    }
    executor.reset();
    for (const auto& future : futures) {
        BOOST_TEST(future.done());
    }
}

BOOST_AUTO_TEST_CASE(test_shutdown_no_wait) {
    ProcessPoolExecutor executor(5);
    std::vector<Future<int>> futures;
    for (int i = -5; i < 5; ++i) {
        futures.push_back(executor.submit(::abs, i));
    }
    executor.shutdown(false);
    for (std::size_t i = 0; i < futures.size(); ++i) {
        BOOST_TEST(futures[i].result(generous) == std::abs(static_cast<int>(i) - 5));
    }
    executor.shutdown();
    BOOST_TEST(executor.worker_pids().empty());
}

BOOST_AUTO_TEST_SUITE_END()
