#include <cofutures/process_pool_executor.hpp>

#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE inside_a_worker
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <pthread.h>
#include <time.h>
#include <unistd.h>

// A worker as a place to work in.

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int add(int a, int b) {
    return a + b;
}

std::vector<std::string> descriptors() {
    std::vector<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        result.push_back(entry.path().filename());
    }
    return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(inside_a_worker)

BOOST_AUTO_TEST_CASE(a_worker_has_its_pipes_and_the_standard_streams_only) {
    ProcessGate gate;  // descriptors that it does not get
    ProcessPoolExecutor pool(3);
    std::vector<Future<pid_t>> busy;
    for (int i = 0; i < 2; ++i) {
        busy.push_back(pool.submit(pass, gate.name()));
    }
    gate.wait_for_arrivals(2);
    // One more is the descriptor that reads the directory.
    const auto open = pool.submit(descriptors).result(generous);
    BOOST_TEST(open.size() == 6U);
    for (const char* standard : {"0", "1", "2"}) {
        BOOST_TEST((std::find(open.begin(), open.end(), standard) != open.end()));
    }
    gate.open();
}

BOOST_AUTO_TEST_CASE(a_task_may_use_the_standard_streams) {
    ProcessPoolExecutor pool(
        {.max_workers = 1, .launcher = {"sh", "-c", "exec \"$0\" \"$@\" <<EOF\ntyped\nEOF\n"}}
    );
    const auto talk = [] {
        std::string word;
        std::cin >> word;
        std::cout << "" << std::flush;
        std::cerr << "" << std::flush;
        std::printf("%s", "");
        return word + (std::cout.good() && std::cerr.good() ? " fine" : " bad");
    };
    BOOST_TEST(pool.submit(talk).result(generous) == "typed fine");
}

BOOST_AUTO_TEST_CASE(a_task_meets_the_signals_of_a_fresh_program) {
    ProcessPoolExecutor pool(1);
    const auto signals = [] {
        sigset_t blocked;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
        int surprises = 0;
        for (const int signal : {SIGPIPE, SIGTERM, SIGINT, SIGUSR1, SIGCHLD, SIGHUP}) {
            struct sigaction current {};
            ::sigaction(signal, nullptr, &current);
            surprises += current.sa_handler != SIG_DFL || ::sigismember(&blocked, signal) == 1;
        }
        return surprises;
    };
    BOOST_TEST(pool.submit(signals).result(generous) == 0);
}

BOOST_AUTO_TEST_CASE(a_task_may_block_a_signal_and_wait_for_it) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto got = pool.submit(
        [](const GateName& name) {
            sigset_t wanted;
            ::sigemptyset(&wanted);
            ::sigaddset(&wanted, SIGUSR1);
            ::pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
            arrive(name);
            const timespec patience{.tv_sec = 60, .tv_nsec = 0};
            return ::sigtimedwait(&wanted, nullptr, &patience);
        },
        gate.name()
    );
    gate.wait_for_arrivals(1);
    ::kill(pool.worker_pids().at(0), SIGUSR1);
    BOOST_TEST(got.result(generous) == SIGUSR1);
}

BOOST_AUTO_TEST_CASE(a_task_may_have_a_pool_of_its_own) {
    ProcessPoolExecutor pool(1);
    auto sum = pool.submit(
        [](int a, int b) {
            ProcessPoolExecutor inner(2);
            auto left = inner.submit(add, a, 1);
            auto right = inner.submit(
                [](int value) {
                    ProcessPoolExecutor innermost(1);
                    return innermost.submit(add, value, 2).result(generous);
                },
                b
            );
            return left.result(generous) * 100 + right.result(generous);
        },
        3,
        5
    );
    BOOST_TEST(sum.result(generous) == 407);
}

BOOST_AUTO_TEST_CASE(a_task_may_have_a_thread_pool) {
    ProcessPoolExecutor pool(1);
    auto sum = pool.submit([] {
        ThreadPoolExecutor threads(2);
        return threads.submit(add, 1, 2).result(generous) +
               threads.submit(add, 3, 4).result(generous);
    });
    BOOST_TEST(sum.result(generous) == 10);
}

BOOST_AUTO_TEST_SUITE_END()
