#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE parity_process_pool
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <cstdlib>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int multiply(int a, int b) {
    return a * b;
}

/// Says at its end, in a worker, that it was destroyed.
struct Tracked {
    GateName gate;
    bool arrived = false;

    Tracked() = default;
    Tracked(GateName name, bool in_worker) : gate(std::move(name)), arrived(in_worker) {}
    Tracked(Tracked&& other) noexcept
        : gate(std::move(other.gate)), arrived(std::exchange(other.arrived, false)) {}
    Tracked& operator=(Tracked&&) = delete;
    ~Tracked() {
        if (arrived) {
            arrive(gate);
        }
    }
};

}  // namespace

template <>
struct cofutures::Codec<Tracked> {
    static void encode(Encoder& encoder, const Tracked& tracked) {
        cofutures::encode(encoder, tracked.gate);
    }
    static Tracked decode(Decoder& decoder) { return {cofutures::decode<GateName>(decoder), true}; }
};

BOOST_AUTO_TEST_SUITE(test_process_pool)

BOOST_AUTO_TEST_CASE(test_submit) {
    ProcessPoolExecutor executor(5);
    BOOST_TEST(
        executor
            .submit(
                [](int base, int times) {
                    int result = 1;
                    for (; times > 0; --times) {
                        result *= base;
                    }
                    return result;
                },
                2,
                8
            )
            .result(generous) == 256
    );
}

BOOST_AUTO_TEST_CASE(test_max_workers_negative) {
    for (const int number : {0, -1}) {
        BOOST_CHECK_THROW(ProcessPoolExecutor executor(number), std::invalid_argument);
    }
}

BOOST_AUTO_TEST_CASE(test_killed_child) {
    ProcessGate gate;
    ProcessPoolExecutor executor(5);
    auto future = executor.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    ::kill(executor.worker_pids().at(0), SIGTERM);
    error_of<BrokenProcessPool>(future);
    BOOST_CHECK_THROW(executor.submit(multiply, 2, 8), BrokenProcessPool);
}

BOOST_AUTO_TEST_CASE(test_broken_process_pool_traceback) {
    ProcessGate gate;
    ProcessPoolExecutor executor(2);
    std::vector<Future<pid_t>> futures;
    for (int i = 0; i < 5; ++i) {
        futures.push_back(executor.submit(pass, gate.name()));
    }
    gate.wait_for_arrivals(1);
    ::kill(executor.worker_pids().at(0), SIGKILL);
    std::set<const void*> errors;
    for (const auto& future : futures) {
        try {
            future.result(generous);
            BOOST_ERROR("a value");
        } catch (const BrokenProcessPool& error) {
            errors.insert(&error);
        }
    }
    BOOST_TEST(errors.size() == futures.size());
}

// Python: the text of the traceback, as the cause. Here the trace says worker and task.
BOOST_AUTO_TEST_CASE(test_traceback) {
    class Custom : public std::runtime_error {
    public:
        using std::runtime_error::runtime_error;
    };
    ProcessPoolExecutor executor(1);
    const auto error =
        error_of<RemoteError>(executor.submit([] { throw Custom("some random error"); }));
    BOOST_REQUIRE(error);
    BOOST_TEST(std::string(error->what()) == "some random error");
    BOOST_TEST(error->type_name().find("Custom") != std::string::npos);
    BOOST_TEST(error->remote_trace().find("in worker ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(test_traceback_when_child_process_terminates_abruptly) {
    ProcessPoolExecutor executor(1);
    const auto error = error_of<BrokenProcessPool>(executor.submit(std::_Exit, 99));
    BOOST_REQUIRE(error);
    BOOST_TEST(std::string(error->what()).find("terminated abruptly") != std::string::npos);
    BOOST_TEST(std::string(error->what()).find("exited with code 99") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(test_ressources_gced_in_workers) {
    ProcessGate gate;
    ProcessPoolExecutor executor(1);
    executor.submit([](Tracked) {}, Tracked(gate.name(), false)).result(generous);
    gate.wait_for_arrivals(1);
}

BOOST_AUTO_TEST_CASE(test_saturation) {
    ProcessGate gate;
    ProcessPoolExecutor executor(4);
    std::vector<Future<pid_t>> futures;
    for (int i = 0; i < 15 * 4; ++i) {
        futures.push_back(executor.submit(pass, gate.name()));
    }
    gate.wait_for_arrivals(4);
    BOOST_TEST(executor.worker_pids().size() == 4U);
    gate.open();
    std::set<pid_t> workers;
    for (const auto& future : futures) {
        workers.insert(future.result(generous));
    }
    BOOST_TEST(workers.size() == 4U);
}

BOOST_AUTO_TEST_CASE(test_idle_process_reuse_one) {
    ProcessPoolExecutor executor(4);
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(executor.submit(multiply, i, 2).result(generous) == 2 * i);
    }
    BOOST_TEST(executor.worker_pids().size() == 1U);
}

BOOST_AUTO_TEST_CASE(test_idle_process_reuse_multiple) {
    ProcessPoolExecutor executor(4);
    executor.submit(multiply, 12, 7).result(generous);
    executor.submit(multiply, 33, 25);
    executor.submit(multiply, 25, 26).result(generous);
    executor.submit(multiply, 18, 29);
    executor.submit(multiply, 1, 2).result(generous);
    executor.submit(multiply, 0, 9);
    BOOST_TEST(executor.worker_pids().size() <= 3U);
}

BOOST_AUTO_TEST_CASE(test_force_shutdown_workers) {
    for (const bool kill : {false, true}) {
        ProcessGate first;
        ProcessGate second;
        ProcessPoolExecutor executor(1);
        auto future = executor.submit(
            [](const GateName& a, const GateName& b) {
                arrive(a);
                pass(b);
                arrive(a);
            },
            first.name(),
            second.name()
        );
        first.wait_for_arrivals(1);
        const pid_t worker = executor.worker_pids().at(0);
        kill ? executor.kill_workers() : executor.terminate_workers();
        error_of<BrokenProcessPool>(future);
        BOOST_TEST(wait_gone(worker));
        second.open();
        BOOST_TEST(!first.has_arrivals());
    }
}

BOOST_AUTO_TEST_CASE(test_force_shutdown_workers_dead_workers) {
    for (const bool kill : {false, true}) {
        ProcessPoolExecutor executor(1);
        error_of<BrokenProcessPool>(executor.submit(std::_Exit, 1));
        BOOST_CHECK_NO_THROW(kill ? executor.kill_workers() : executor.terminate_workers());
    }
}

BOOST_AUTO_TEST_CASE(test_force_shutdown_workers_not_started_yet) {
    for (const bool kill : {false, true}) {
        ProcessPoolExecutor executor(1);
        BOOST_CHECK_NO_THROW(kill ? executor.kill_workers() : executor.terminate_workers());
        BOOST_CHECK_THROW(executor.submit(multiply, 1, 2), ShutdownError);
    }
}

BOOST_AUTO_TEST_CASE(test_force_shutdown_workers_stops_pool) {
    for (const bool kill : {false, true}) {
        ProcessPoolExecutor executor(1);
        const pid_t worker = executor.submit(::getpid).result(generous);
        kill ? executor.kill_workers() : executor.terminate_workers();
        BOOST_CHECK_THROW(executor.submit(multiply, 1, 2), ShutdownError);
        BOOST_TEST(wait_gone(worker));
        executor.shutdown();
    }
}

BOOST_AUTO_TEST_SUITE_END()
