#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE worker_death
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

/// A value that kills the process which encodes or decodes it, if that is a worker.
struct Poison {
    bool in_encoder = false;
    pid_t parent = 0;
};

void die_outside_of(pid_t parent) {
    if (::getpid() != parent) {
        ::raise(SIGKILL);
    }
}

std::vector<double> numbers(std::size_t count) {
    std::vector<double> result(count);
    for (std::size_t i = 0; i < count; ++i) {
        result[i] = static_cast<double>(i) / 3;
    }
    return result;
}

constexpr std::size_t big = (std::size_t{64} << 20) / sizeof(double);

std::size_t size_of(const std::vector<double>& values) {
    return values.size();
}

void throw_error() {
    throw std::runtime_error("too far");
}

/// Ends the worker while the task runs, and checks what the futures say.
template <class End>
WorkerExit ended_by(End end) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto running = pool.submit(end, gate.name());
    auto waiting = pool.submit(::getpid);
    gate.wait_for_arrivals(1);
    const pid_t worker = pool.worker_pids().at(0);
    gate.open();
    const auto error = error_of<BrokenProcessPool>(running);
    const auto other = error_of<BrokenProcessPool>(waiting);
    BOOST_REQUIRE(error);
    BOOST_REQUIRE(other);
    BOOST_TEST((running.exception() != waiting.exception()));
    BOOST_TEST(error->worker().pid == worker);
    BOOST_TEST(other->worker().pid == worker);
    BOOST_CHECK_THROW(pool.submit(::getpid), BrokenProcessPool);
    return error->worker();
}

}  // namespace

template <>
struct cofutures::Codec<Poison> {
    static void encode(Encoder& encoder, const Poison& poison) {
        if (poison.in_encoder) {
            die_outside_of(poison.parent);
        }
        cofutures::encode(encoder, poison.parent);
    }
    static Poison decode(Decoder& decoder) {
        const Poison poison{false, cofutures::decode<pid_t>(decoder)};
        die_outside_of(poison.parent);
        return poison;
    }
};

BOOST_AUTO_TEST_SUITE(worker_death)

BOOST_AUTO_TEST_CASE(exit_in_a_task_is_reported_with_its_code) {
    const WorkerExit exit = ended_by([](const GateName& gate) {
        pass(gate);
        std::exit(3);
    });
    BOOST_TEST((exit.exit_code == 3));
    BOOST_TEST(!exit.signal);
    BOOST_TEST(!exit.task.empty());
}

BOOST_AUTO_TEST_CASE(abort_in_a_task_is_reported_with_its_signal) {
    const WorkerExit exit = ended_by([](const GateName& gate) {
        pass(gate);
        std::abort();
    });
    BOOST_TEST((exit.signal == SIGABRT));
}

BOOST_AUTO_TEST_CASE(an_exception_out_of_a_noexcept_function_is_a_death) {
    const WorkerExit exit = ended_by([](const GateName& gate) noexcept {
        pass(gate);
        throw_error();
    });
    BOOST_TEST((exit.signal == SIGABRT));
}

BOOST_AUTO_TEST_CASE(a_signal_in_a_task_is_reported) {
    const WorkerExit exit = ended_by([](const GateName& gate) {
        pass(gate);
        ::raise(SIGUSR2);
    });
    BOOST_TEST((exit.signal == SIGUSR2));
}

BOOST_AUTO_TEST_CASE(an_idle_worker_that_dies_breaks_the_pool) {
    ProcessGate gate;
    ProcessPoolExecutor pool(2);
    auto busy = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    const pid_t idle = pool.submit(::getpid).result(generous);
    ::kill(idle, SIGKILL);
    const auto error = error_of<BrokenProcessPool>(busy);
    BOOST_REQUIRE(error);
    BOOST_TEST(error->worker().pid == idle);
    BOOST_TEST(error->worker().task.empty());
    BOOST_TEST((error->worker().signal == SIGKILL));
    BOOST_TEST(std::string(error->what()).find("while idle") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_only_worker_may_die_while_idle) {
    ProcessPoolExecutor pool(1);
    const pid_t idle = pool.submit(::getpid).result(generous);
    ::kill(idle, SIGKILL);
    // The death may be noticed before or after the submit.
    try {
        error_of<BrokenProcessPool>(pool.submit(::getpid));
    } catch (const BrokenProcessPool&) {
    }
}

BOOST_AUTO_TEST_CASE(a_worker_that_dies_before_its_first_word_breaks_the_pool) {
    // The launcher is the worker's process, and ends without a word.
    ProcessPoolExecutor pool({.max_workers = 1, .launcher = {"sh", "-c", "kill -9 $$"}});
    const auto error = error_of<BrokenProcessPool>(pool.submit(::getpid));
    BOOST_REQUIRE(error);
    BOOST_TEST((error->worker().signal == SIGKILL));
}

BOOST_AUTO_TEST_CASE(a_worker_that_says_nothing_can_be_killed) {
    ProcessPoolExecutor pool({.max_workers = 1, .launcher = never_comes});
    auto never = pool.submit(::getpid);
    pool.kill_workers();
    BOOST_CHECK_THROW(static_cast<void>(never.result(generous)), CancelledError);
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(a_worker_may_die_while_a_long_argument_is_written_to_it) {
    ProcessPoolExecutor pool(1);
    const pid_t worker = pool.submit(::getpid).result(generous);
    ::kill(worker, SIGSTOP);
    auto stuck = pool.submit(size_of, numbers(big));
    BOOST_TEST(stuck.running());
    ::kill(worker, SIGKILL);
    error_of<BrokenProcessPool>(stuck);
}

BOOST_AUTO_TEST_CASE(a_worker_may_die_while_it_writes_a_long_result) {
    // Nobody reads the result while the callback holds the manager.
    ProcessGate gate;
    Gate callback;
    ProcessPoolExecutor pool(2);
    auto first = pool.submit(pass, gate.name());
    auto stuck = pool.submit(
        [](const GateName& name, std::size_t count) {
            arrive(name);
            return numbers(count);
        },
        gate.name(),
        big
    );
    gate.wait_for_arrivals(2);
    first.add_done_callback([&] { callback.wait(); });
    const std::vector<pid_t> workers = pool.worker_pids();
    gate.open();
    BOOST_CHECK_NO_THROW(first.result(generous));
    for (const pid_t worker : workers) {
        ::kill(worker, SIGKILL);
        BOOST_TEST(wait_gone(worker));
    }
    callback.open();
    error_of<BrokenProcessPool>(stuck);
}

BOOST_AUTO_TEST_CASE(a_death_while_arguments_are_decoded_breaks_the_pool) {
    ProcessPoolExecutor pool(1);
    error_of<BrokenProcessPool>(pool.submit([](Poison) {}, Poison{false, ::getpid()}));
}

BOOST_AUTO_TEST_CASE(a_death_while_a_result_is_encoded_breaks_the_pool) {
    ProcessPoolExecutor pool(1);
    auto result = pool.submit([](pid_t parent) { return Poison{true, parent}; }, ::getpid());
    error_of<BrokenProcessPool>(result);
}

BOOST_AUTO_TEST_CASE(a_launcher_that_does_not_exist_breaks_the_pool_with_the_reason) {
    ProcessPoolExecutor pool({.max_workers = 2, .launcher = {"no-such-program-anywhere"}});
    auto first = pool.submit(::getpid);
    const auto error = error_of<BrokenProcessPool>(first);
    BOOST_REQUIRE(error);
    BOOST_TEST(std::string(error->what()).find("no-such-program-anywhere") != std::string::npos);
    BOOST_TEST(error->worker().pid == 0);
    BOOST_CHECK_THROW(pool.submit(::getpid), BrokenProcessPool);
}

BOOST_AUTO_TEST_CASE(a_launcher_that_does_not_run_the_worker_breaks_the_pool) {
    ProcessPoolExecutor pool({.max_workers = 1, .launcher = {"false"}});
    const auto error = error_of<BrokenProcessPool>(pool.submit(::getpid));
    BOOST_REQUIRE(error);
    BOOST_TEST((error->worker().exit_code == 1));
}

BOOST_AUTO_TEST_CASE(a_launcher_runs_in_front_of_the_worker) {
    ProcessPoolExecutor pool({.max_workers = 1, .launcher = {"env", "COFUTURES_TEST=launched"}});
    auto value = pool.submit([] { return std::string(std::getenv("COFUTURES_TEST")); });
    BOOST_TEST(value.result(generous) == "launched");
}

BOOST_AUTO_TEST_CASE(all_workers_of_a_broken_pool_end) {
    ProcessGate gate;
    ProcessPoolExecutor pool(3);
    std::vector<Future<pid_t>> futures;
    for (int i = 0; i < 3; ++i) {
        futures.push_back(pool.submit(pass, gate.name()));
    }
    gate.wait_for_arrivals(3);
    const std::vector<pid_t> workers = pool.worker_pids();
    BOOST_TEST((std::set<pid_t>(workers.begin(), workers.end()).size() == 3));
    ::kill(workers.front(), SIGKILL);
    for (const auto& future : futures) {
        error_of<BrokenProcessPool>(future);
    }
    for (const pid_t worker : workers) {
        BOOST_TEST(wait_gone(worker));
    }
    pool.shutdown();
    BOOST_TEST(pool.worker_pids().empty());
}

BOOST_AUTO_TEST_CASE(a_cancelled_future_stays_cancelled_when_the_pool_breaks) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto running = pool.submit(pass, gate.name());
    auto cancelled = pool.submit(::getpid);
    gate.wait_for_arrivals(1);
    BOOST_TEST(cancelled.cancel());
    pool.kill_workers();
    error_of<BrokenProcessPool>(running);
    BOOST_TEST(cancelled.cancelled());
}

BOOST_AUTO_TEST_CASE(terminate_works_after_shutdown) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto running = pool.submit(pass, gate.name());
    auto waiting = pool.submit(::getpid);
    gate.wait_for_arrivals(1);
    pool.shutdown(false);
    BOOST_TEST(!waiting.done());
    pool.terminate_workers();
    error_of<BrokenProcessPool>(running);
    BOOST_TEST(waiting.cancelled());
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(terminating_asks_by_sigterm_and_killing_does_not_ask) {
    for (const bool kill : {false, true}) {
        ProcessGate gate;
        ProcessPoolExecutor pool(1);
        auto running = pool.submit(
            [](const GateName& name) {
                static GateName heard;
                heard = name;
                std::signal(SIGTERM, [](int) {
                    arrive(heard);  // in this test nothing else runs meanwhile
                    std::_Exit(0);
                });
                pass(name);
            },
            gate.name()
        );
        gate.wait_for_arrivals(1);
        const pid_t worker = pool.worker_pids().at(0);
        if (kill) {
            pool.kill_workers();
        } else {
            pool.terminate_workers();
        }
        error_of<BrokenProcessPool>(running);
        BOOST_TEST(wait_gone(worker));
        BOOST_TEST(gate.has_arrivals() == !kill);
    }
}

BOOST_AUTO_TEST_CASE(a_callback_on_a_broken_future_may_use_the_pool) {
    ProcessGate gate;
    Gate ended;
    ProcessPoolExecutor pool(1);
    auto running = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    running.add_done_callback([&] {
        thrown_by<BrokenProcessPool>([&] { pool.submit(::getpid); });
        thrown_by<DeadlockError>([&] { pool.shutdown(); });
        pool.kill_workers();
        pool.shutdown(false, true);
        ended.open();
    });
    ::kill(pool.worker_pids().at(0), SIGKILL);
    ended.wait();
}

BOOST_AUTO_TEST_SUITE_END()
