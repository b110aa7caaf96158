#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE hostile_worker
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"
#include "support/wait_to_be_killed.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sys/ioctl.h>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// --- what a task that means no good does in its worker -------------------------------------------

/// The worker's pipes, as its command line tells them.
std::pair<int, int> pipes() {
    std::ifstream file("/proc/self/cmdline");
    std::string word;
    std::string last;
    while (std::getline(file, word, '\0')) {
        last = word;
    }
    const std::size_t comma = last.find(',');
    return {std::stoi(last.substr(0, comma)), std::stoi(last.substr(comma + 1))};
}

void write_all(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
        if (written < 0) {
            ::_exit(66);
        }
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

std::string frame(std::uint8_t kind, std::uint64_t task, std::uint64_t size) {
    std::string header(24, '\0');
    for (std::size_t i = 0; i < 8; ++i) {
        header[i] = static_cast<char>(size >> (8 * i));
        header[8 + i] = static_cast<char>(task >> (8 * i));
    }
    header[16] = static_cast<char>(kind);
    return header;
}

void write_garbage(const GateName& gate, const std::string& bytes) {
    pass(gate);
    write_all(pipes().second, bytes);
    wait_to_be_killed();
}

void flood() {
    const std::string noise(1 << 16, 'x');
    for (;;) {
        write_all(pipes().second, noise);
    }
}

void close_pipe(bool in, bool out) {
    if (in) {
        ::close(pipes().first);
    }
    if (out) {
        ::close(pipes().second);
        wait_to_be_killed();
    }
}

/// A process that is no child of the worker's any more and holds its pipes.
pid_t start_holder(const GateName& gate, bool floods) {
    std::array<int, 2> told{};
    if (::pipe2(told.data(), O_CLOEXEC) != 0) {
        ::_exit(67);
    }
    if (::fork() == 0) {
        if (::fork() != 0) {
            ::_exit(0);
        }
        ::setsid();
        const pid_t self = ::getpid();
        if (::write(told[1], &self, sizeof(self)) != sizeof(self)) {
            ::_exit(68);
        }
        pass(gate);
        if (floods) {
            flood();
        }
        ::_exit(0);
    }
    pid_t holder = 0;
    if (::read(told[0], &holder, sizeof(holder)) != sizeof(holder)) {
        ::_exit(69);
    }
    ::close(told[0]);
    ::close(told[1]);
    return holder;
}

std::size_t echo_size(const std::string& text) {
    return text.size();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hostile_worker)

BOOST_AUTO_TEST_CASE(garbage_instead_of_a_result_breaks_the_pool_and_ends_the_worker) {
    const std::vector<std::string> garbage{
        std::string(24, '\xff'),
        frame(0, 1, 0),
        frame(3, 1, std::uint64_t{1} << 62),
        frame(2, 1, 0),          // a task, which only the pool sends
        frame(6, 0, 0),          // a request to stop, likewise
        frame(1, 0, 3) + "?!.",  // no hello
        frame(5, 0, 1) + "x",    // no failure
        frame(8, 0, 0),          // ready, for the second time
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    };
    for (const std::string& bytes : garbage) {
        ProcessPoolExecutor pool(1);
        const pid_t worker = pool.submit(::getpid).result(generous);
        ProcessGate gate;
        auto running = pool.submit(write_garbage, gate.name(), bytes);
        auto waiting = pool.submit(::getpid);
        gate.open();
        const auto error = error_of<BrokenProcessPool>(running);
        BOOST_REQUIRE(error);
        BOOST_TEST(error->worker().pid == worker);
        BOOST_TEST(std::string(error->what()).find("what no worker sends") != std::string::npos);
        error_of<BrokenProcessPool>(waiting);
        BOOST_CHECK_THROW(pool.submit(::getpid), BrokenProcessPool);
        BOOST_TEST(wait_gone(worker));
    }
}

BOOST_AUTO_TEST_CASE(a_flood_of_garbage_breaks_the_pool) {
    ProcessPoolExecutor pool(1);
    error_of<BrokenProcessPool>(pool.submit(flood));
}

BOOST_AUTO_TEST_CASE(a_result_for_a_task_that_it_does_not_have_breaks_the_pool) {
    for (const std::uint64_t task : {std::uint64_t{0}, std::uint64_t{2}, ~std::uint64_t{0}}) {
        ProcessPoolExecutor pool(1);
        ProcessGate gate;
        auto running = pool.submit(write_garbage, gate.name(), frame(3, task, 0));
        auto waiting = pool.submit(::getpid);
        gate.open();
        const auto error = error_of<BrokenProcessPool>(running);
        BOOST_REQUIRE(error);
        BOOST_TEST(std::string(error->what()).find("did not run") != std::string::npos);
        error_of<BrokenProcessPool>(waiting);
    }
}

BOOST_AUTO_TEST_CASE(a_second_result_for_the_same_task_breaks_the_pool) {
    ProcessPoolExecutor pool(1);
    // The bytes are one result for the task, and one too many.
    auto twice = pool.submit([] { write_all(pipes().second, frame(3, 1, 0)); });
    BOOST_CHECK_NO_THROW(twice.result(generous));
    ProcessGate gate;
    try {
        error_of<BrokenProcessPool>(pool.submit(pass, gate.name()));
    } catch (const BrokenProcessPool&) {
        // It broke before the second submit.
    }
}

BOOST_AUTO_TEST_CASE(a_result_sent_before_the_death_arrives) {
    ProcessGate gate;
    ProcessGate second_gate;
    Gate in_callback;
    Gate callback;
    ProcessPoolExecutor pool(2);
    auto first = pool.submit(pass, gate.name());
    first.add_done_callback([&] {  // keeps the manager from reading
        in_callback.open();
        callback.wait();
    });
    auto second = pool.submit(
        [](const GateName& name) {
            const pid_t worker = pass(name);
            std::thread([out = pipes().second] {
                for (int size = 0; size == 0; ::ioctl(out, FIONREAD, &size)) {
                    std::this_thread::yield();
                }
                ::raise(SIGKILL);
            }).detach();
            return worker;
        },
        second_gate.name()
    );
    gate.wait_for_arrivals(1);
    second_gate.wait_for_arrivals(1);
    const std::vector<pid_t> workers = pool.worker_pids();
    gate.open();
    in_callback.wait();
    second_gate.open();
    const pid_t living = first.result(generous);
    for (const pid_t worker : workers) {
        BOOST_TEST((worker == living || wait_gone(worker)));
    }
    callback.open();
    BOOST_TEST(second.result(generous) != living);
}

BOOST_AUTO_TEST_CASE(bytes_too_many_in_a_result_hurt_only_that_task) {
    ProcessPoolExecutor pool(1);
    BOOST_TEST(pool.submit(echo_size, "warm").result(generous) == 4U);
    // An answer forged as `int` plus a byte: the true one comes second, for a task that is not run.
    auto forged = pool.submit([]() -> int {
        write_all(pipes().second, frame(3, 2, 5) + "abcde");
        wait_to_be_killed();
    });
    error_of<SerializationError>(forged);
    pool.kill_workers();
}

BOOST_AUTO_TEST_CASE(a_worker_that_closes_its_result_pipe_breaks_the_pool) {
    ProcessPoolExecutor pool(1);
    const pid_t worker = pool.submit(::getpid).result(generous);
    const auto error = error_of<BrokenProcessPool>(pool.submit(close_pipe, false, true));
    BOOST_REQUIRE(error);
    BOOST_TEST(error->worker().pid == worker);
}

BOOST_AUTO_TEST_CASE(a_worker_that_closes_its_task_pipe_gives_its_result_and_breaks_the_pool) {
    ProcessPoolExecutor pool(1);
    ProcessGate gate;
    auto last = pool.submit(
        [](const GateName& name) {
            pass(name);
            close_pipe(true, false);
        },
        gate.name()
    );
    auto next = pool.submit(::getpid);
    gate.open();
    BOOST_CHECK_NO_THROW(last.result(generous));
    error_of<BrokenProcessPool>(next);
}

BOOST_AUTO_TEST_CASE(a_worker_that_becomes_another_program_breaks_the_pool) {
    ProcessPoolExecutor pool(1);
    auto gone = pool.submit([] { ::execlp("sleep", "sleep", "1000", nullptr); });
    error_of<BrokenProcessPool>(gone);
}

BOOST_AUTO_TEST_CASE(a_process_that_holds_the_pipes_of_a_dead_worker_does_not_hide_its_death) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto running = pool.submit(
        [](const GateName& name) {
            start_holder(name, false);
            std::_Exit(7);
        },
        gate.name()
    );
    const auto error = error_of<BrokenProcessPool>(running);
    BOOST_REQUIRE(error);
    BOOST_TEST((error->worker().exit_code == 7));
    gate.wait_for_arrivals(1);
    pool.shutdown();
    gate.open();
}

BOOST_AUTO_TEST_CASE(a_process_that_floods_the_pipe_of_a_dead_worker_does_not_hold_up_the_pool) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    const pid_t holder =
        pool.submit([](const GateName& name) { return start_holder(name, true); }, gate.name())
            .result(generous);
    gate.wait_for_arrivals(1);
    const pid_t worker = pool.worker_pids().at(0);
    gate.open();
    // The garbage has the worker killed, and goes on.
    BOOST_TEST(wait_gone(worker));
    pool.shutdown();
    BOOST_TEST(wait_gone(holder));
}

BOOST_AUTO_TEST_CASE(a_worker_that_dies_in_the_middle_of_a_long_task_does_not_hold_up_the_shutdown
) {
    // The pipe's other end stays open in a process that never reads it: the write never ends.
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    const pid_t worker = pool.submit(::getpid).result(generous);
    const pid_t holder =
        pool.submit([](const GateName& name) { return start_holder(name, false); }, gate.name())
            .result(generous);
    gate.wait_for_arrivals(1);
    ::kill(worker, SIGSTOP);
    auto long_one = pool.submit(echo_size, std::string(std::size_t{64} << 20, 'a'));
    auto waiting = pool.submit(::getpid);
    BOOST_TEST(long_one.running());
    ::kill(worker, SIGKILL);
    error_of<BrokenProcessPool>(long_one);
    error_of<BrokenProcessPool>(waiting);
    pool.shutdown();
    gate.open();
    BOOST_TEST(wait_gone(holder));
}

BOOST_AUTO_TEST_CASE(a_worker_that_left_its_process_group_is_killed_all_the_same) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto running = pool.submit(
        [](const GateName& name) {
            ::setpgid(0, ::getpgid(::getppid()));
            pass(name);
        },
        gate.name()
    );
    gate.wait_for_arrivals(1);
    pool.kill_workers();
    error_of<BrokenProcessPool>(running);
}

BOOST_AUTO_TEST_CASE(a_process_that_a_task_left_behind_outlives_a_worker_that_ends_by_itself) {
    ProcessGate gate;
    {
        ProcessPoolExecutor pool(1);
        pool.submit(
                [](const GateName& name) {
                    if (::fork() == 0) {
                        const auto [in, out] = pipes();
                        ::close(in);
                        ::close(out);
                        pass(name);
                        arrive(name);
                        ::_exit(0);
                    }
                },
                gate.name()
        )
            .result(generous);
        gate.wait_for_arrivals(1);
    }
    gate.open();
    gate.wait_for_arrivals(1);
}

BOOST_AUTO_TEST_CASE(a_worker_that_ignores_sigterm_is_let_go_at_the_end_of_its_task) {
    ProcessGate gate;
    ProcessGate heard;
    ProcessPoolExecutor pool(1);
    auto stubborn = pool.submit(
        [](const GateName& name, const GateName& hears) {
            static GateName told;
            told = hears;
            std::signal(SIGTERM, [](int) { arrive(told); });  // the task does nothing meanwhile
            pass(name);
        },
        gate.name(),
        heard.name()
    );
    gate.wait_for_arrivals(1);
    pool.terminate_workers();
    error_of<BrokenProcessPool>(stubborn);
    heard.wait_for_arrivals(1);
    BOOST_TEST(pool.worker_pids().size() == 1U);
    gate.open();
    pool.shutdown();
    BOOST_TEST(pool.worker_pids().empty());
}

BOOST_AUTO_TEST_CASE(a_worker_that_ignores_sigterm_can_be_killed) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto stubborn = pool.submit(
        [](const GateName& name) {
            std::signal(SIGTERM, SIG_IGN);
            pass(name);
        },
        gate.name()
    );
    gate.wait_for_arrivals(1);
    pool.terminate_workers();
    pool.kill_workers();
    error_of<BrokenProcessPool>(stubborn);
}

BOOST_AUTO_TEST_CASE(a_stopped_worker_is_terminated) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto stopped = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    ::kill(pool.worker_pids().at(0), SIGSTOP);
    pool.terminate_workers();
    error_of<BrokenProcessPool>(stopped);
    pool.shutdown();
}

BOOST_AUTO_TEST_CASE(a_stopped_worker_holds_up_nobody_else) {
    ProcessGate gate;
    ProcessPoolExecutor pool(2);
    auto stopped = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    const pid_t first = pool.worker_pids().at(0);
    ::kill(first, SIGSTOP);
    for (int i = 0; i < 10; ++i) {
        BOOST_TEST(pool.submit(::getpid).result(generous) != first);
    }
    ::kill(first, SIGCONT);
    gate.open();
    BOOST_TEST(stopped.result(generous) == first);
}

// --- where workers are replaced ------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_hostile_task_costs_a_pool_that_replaces_workers_nothing_but_itself) {
    ProcessPoolExecutor pool({.max_workers = 2, .on_worker_death = WorkerDeath::replace});
    const std::vector<std::string> garbage{
        std::string(24, '\xff'),
        frame(3, ~std::uint64_t{0}, 0),  // a result of a task that it does not have
        frame(2, 1, 0),                  // a task, which only the pool sends
        frame(3, 1, std::uint64_t{1} << 62),
    };
    for (const std::string& bytes : garbage) {
        ProcessGate gate;
        gate.open();
        const auto error = error_of<WorkerDiedError>(
            pool.submit({.name = "bad"}, write_garbage, gate.name(), bytes)
        );
        BOOST_REQUIRE(error);
        BOOST_TEST(error->worker().task == "bad");
        BOOST_TEST(pool.submit(echo_size, "four").result(generous) == 4U);
    }
    error_of<WorkerDiedError>(pool.submit(flood));
    error_of<WorkerDiedError>(pool.submit(close_pipe, false, true));
    error_of<WorkerDiedError>(pool.submit([] { ::_exit(0); }));
    BOOST_TEST(pool.submit(echo_size, "four").result(generous) == 4U);
    BOOST_TEST(pool.stats().worker_deaths == garbage.size() + 3);
}

BOOST_AUTO_TEST_CASE(a_task_that_leaves_processes_behind_is_ended_with_them) {
    ProcessPoolExecutor pool(1);
    ProcessGate gate;
    error_of<TaskTimeoutError>(pool.submit(
        {.timeout = std::chrono::milliseconds(100)},
        [](const GateName& name) {
            if (::fork() == 0) {
                arrive(name);
            }
            wait_to_be_killed();
        },
        gate.name()
    ));
    BOOST_TEST(pool.submit(echo_size, "four").result(generous) == 4U);
}

BOOST_AUTO_TEST_SUITE_END()
