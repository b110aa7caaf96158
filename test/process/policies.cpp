#include <cofutures/process_pool_executor.hpp>

#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE policies
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/eventually.hpp"
#include "support/leak_check.hpp"
#include "support/rounds.hpp"
#include "support/thread_state.hpp"
#include "support/wait_to_be_killed.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

// What ProcessPoolOptions and TaskOptions make of a pool: deaths, limits of time, priority,
// workers that leave, observers, statistics, the ways to its end.

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int twice(int value) {
    return 2 * value;
}

void die() {
    ::raise(SIGKILL);
}

[[noreturn]] void refuse_to_end(const GateName& gate) {
    std::signal(SIGTERM, SIG_IGN);
    arrive(gate);
    wait_to_be_killed();
}

/// Dies until it finds the file that its predecessor left.
pid_t die_once(const std::string& file) {
    if (!std::ifstream(file)) {
        std::ofstream(file) << "died";
        die();
    }
    return ::getpid();
}

class TemporaryFile {
public:
    TemporaryFile() : path_("/tmp/cofutures-test-XXXXXX") {
        ::close(::mkstemp(path_.data()));
        ::unlink(path_.c_str());
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    ~TemporaryFile() { ::unlink(path_.c_str()); }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(policies)

// --- workers that are replaced -------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_death_costs_only_the_task_that_the_worker_ran) {
    ProcessGate gate;
    ProcessPoolExecutor pool({.max_workers = 2, .on_worker_death = WorkerDeath::replace});
    auto other = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    auto dead = pool.submit({.name = "suicide"}, die);
    std::vector<Future<int>> waiting;
    for (int i = 0; i < 20; ++i) {
        waiting.push_back(pool.submit(twice, i));
    }
    const auto error = error_of<WorkerDiedError>(dead);
    BOOST_REQUIRE(error);
    BOOST_TEST((error->worker().signal == SIGKILL));
    BOOST_TEST(error->worker().task == "suicide");
    BOOST_TEST(error->worker().attempt == 1);
    BOOST_TEST(error->worker().pid != 0);
    for (int i = 0; i < 20; ++i) {
        BOOST_TEST(waiting[static_cast<std::size_t>(i)].result(generous) == 2 * i);
    }
    gate.open();
    BOOST_TEST(other.result(generous) != error->worker().pid);
    const ExecutorStats stats = pool.stats();
    BOOST_TEST(stats.worker_deaths == 1U);
    BOOST_TEST(stats.failed == 1U);
    BOOST_TEST(stats.completed == 21U);
    check_sum(stats);
}

BOOST_AUTO_TEST_CASE(a_task_is_retried_on_another_worker) {
    const TemporaryFile file;
    ProcessPoolExecutor pool({.max_workers = 1, .on_worker_death = WorkerDeath::replace});
    const pid_t first = pool.submit(::getpid).result(generous);
    BOOST_TEST(pool.submit({.retries = 1}, die_once, file.path()).result(generous) != first);
    BOOST_TEST(pool.stats().retries == 1U);
    const auto error = error_of<WorkerDiedError>(pool.submit({.retries = 2}, die));
    BOOST_REQUIRE(error);
    BOOST_TEST(error->worker().attempt == 3);
    BOOST_TEST(pool.stats().retries == 3U);
    BOOST_TEST(pool.submit(twice, 4).result(generous) == 8);
}

BOOST_AUTO_TEST_CASE(an_idle_worker_that_dies_is_not_missed) {
    ProcessPoolExecutor pool({.max_workers = 1, .on_worker_death = WorkerDeath::replace});
    const pid_t first = pool.submit(::getpid).result(generous);
    ::kill(first, SIGKILL);
    BOOST_TEST(eventually([&] { return pool.stats().worker_deaths == 1; }));
    BOOST_TEST(pool.submit(::getpid).result(generous) != first);
}

BOOST_AUTO_TEST_CASE(hundreds_of_deaths_in_a_row_leave_nothing) {
    const long deaths = rounds(300);
    const Holdings before = Holdings::now();
    {
        ProcessPoolExecutor pool({.max_workers = 2, .on_worker_death = WorkerDeath::replace});
        std::vector<Future<void>> futures;
        for (long i = 0; i < deaths; ++i) {
            futures.push_back(pool.submit(die));
        }
        for (const auto& future : futures) {
            error_of<WorkerDiedError>(future);
        }
        BOOST_TEST((futures[0].exception() != futures[1].exception()));
        BOOST_TEST(pool.submit(twice, 4).result(generous) == 8);
        BOOST_TEST(pool.stats().worker_deaths == static_cast<std::uint64_t>(deaths));
        BOOST_TEST(Holdings::now().descriptors <= before.descriptors + 32);
    }
    BOOST_TEST(Holdings::now().children <= before.children);
}

// A program that neither comes to freeze_support() nor ends.
BOOST_AUTO_TEST_CASE(workers_that_never_come_are_killed_and_break_the_pool) {
    for (const WorkerDeath on_death : {WorkerDeath::break_pool, WorkerDeath::replace}) {
        ProcessPoolExecutor pool(
            {.max_workers = 1,
             .on_worker_death = on_death,
             .start_timeout = 50ms,
             .launcher = never_comes}
        );
        const auto error =
            thrown_by<BrokenProcessPool>([&] { pool.submit(twice, 1).result(generous); });
        BOOST_REQUIRE(error);
        BOOST_TEST(
            std::string(error->what()).find("did not come to freeze_support()") != std::string::npos
        );
        BOOST_TEST(wait_gone(static_cast<pid_t>(error->worker().pid)));
    }
}

BOOST_AUTO_TEST_CASE(times_too_long_for_the_clock_are_none) {
    constexpr auto endless = std::chrono::nanoseconds::max();
    ProcessPoolExecutor pool({.max_workers = 1, .start_timeout = endless, .idle_timeout = endless});
    BOOST_TEST(pool.submit({.timeout = endless}, twice, 2).result(generous) == 4);
    BOOST_TEST(pool.submit(twice, 3).result(generous) == 6);
}

BOOST_AUTO_TEST_CASE(a_shutdown_does_not_wait_for_a_worker_that_never_comes) {
    ProcessPoolExecutor pool({.max_workers = 1, .start_timeout = 50ms, .launcher = never_comes});
    auto task = pool.submit(twice, 1);
    BOOST_TEST(task.cancel());
    BOOST_TEST(pool.shutdown_for(generous));
}

BOOST_AUTO_TEST_CASE(workers_that_always_die_at_start_break_the_pool) {
    ProcessPoolExecutor pool(
        {.max_workers = 2, .on_worker_death = WorkerDeath::replace, .launcher = {"false"}}
    );
    const auto error = error_of<BrokenProcessPool>(pool.submit(twice, 1));
    BOOST_REQUIRE(error);
    BOOST_TEST(std::string(error->what()).find("as soon as they are started") != std::string::npos);
    BOOST_CHECK_THROW(pool.submit(twice, 1), BrokenProcessPool);
}

BOOST_AUTO_TEST_CASE(a_program_that_is_not_there_breaks_a_pool_that_replaces_workers) {
    ProcessPoolExecutor pool(
        {.max_workers = 2, .on_worker_death = WorkerDeath::replace, .launcher = {"/nowhere/at/all"}}
    );
    const auto error = error_of<BrokenProcessPool>(pool.submit(twice, 1));
    BOOST_REQUIRE(error);
    BOOST_TEST(std::string(error->what()).find("/nowhere/at/all") != std::string::npos);
}

// --- a task's time -------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_task_that_overruns_its_limit_ends_and_the_pool_goes_on) {
    ProcessPoolExecutor pool(1);
    const pid_t first = pool.submit(::getpid).result(generous);
    auto late = pool.submit({.timeout = 50ms, .name = "sleeper"}, [] { wait_to_be_killed(); });
    auto waiting = pool.submit(::getpid);
    const auto error = error_of<TaskTimeoutError>(late);
    BOOST_REQUIRE(error);
    BOOST_TEST(std::string(error->what()).find("\"sleeper\"") != std::string::npos);
    BOOST_TEST(std::string(error->what()).find("0.05 s") != std::string::npos);
    BOOST_TEST(waiting.result(generous) != first);
    BOOST_TEST(wait_gone(first));
    const ExecutorStats stats = pool.stats();
    BOOST_TEST(stats.timeouts == 1U);
    BOOST_TEST(stats.worker_deaths == 0U);
    check_sum(stats);
}

BOOST_AUTO_TEST_CASE(a_worker_that_ignores_sigterm_is_killed) {
    ProcessGate gate;
    ProcessPoolExecutor pool({.max_workers = 1, .termination_grace = 20ms});
    const pid_t first = pool.submit(::getpid).result(generous);
    error_of<TaskTimeoutError>(pool.submit({.timeout = 100ms}, refuse_to_end, gate.name()));
    BOOST_TEST(pool.submit(::getpid).result(generous) != first);
    BOOST_TEST(wait_gone(first));
}

BOOST_AUTO_TEST_CASE(a_worker_that_is_stopped_is_ended) {
    ProcessPoolExecutor pool({.max_workers = 1, .termination_grace = 20ms});
    const pid_t first = pool.submit(::getpid).result(generous);
    error_of<TaskTimeoutError>(pool.submit({.timeout = 50ms}, [] { ::raise(SIGSTOP); }));
    BOOST_TEST(pool.submit(::getpid).result(generous) != first);
    BOOST_TEST(wait_gone(first));
}

BOOST_AUTO_TEST_CASE(a_task_in_time_is_left_alone) {
    ProcessPoolExecutor pool(1);
    for (int i = 0; i < 50; ++i) {
        BOOST_TEST(pool.submit({.timeout = 60s}, twice, i).result(generous) == 2 * i);
    }
    BOOST_TEST(pool.stats().timeouts == 0U);
}

// --- priority ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(higher_priority_runs_first_and_equal_ones_in_order) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto first = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    std::mutex mutex;
    std::string order;
    std::vector<Future<int>> futures;
    const std::pair<char, int> tasks[] = {{'a', 0}, {'b', -1}, {'c', 5}, {'d', 0}, {'e', 5}};
    for (const auto& [name, priority] : tasks) {
        futures.push_back(pool.submit({.priority = priority}, twice, 1));
        futures.back().add_done_callback([&, name = name] {
            const std::lock_guard lock(mutex);
            order += name;
        });
    }
    gate.open();
    pool.shutdown();
    BOOST_TEST(order == "ceadb");
}

// --- workers that leave --------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_worker_leaves_after_its_number_of_tasks) {
    ProcessPoolExecutor pool({.max_workers = 1, .max_tasks_per_child = 3});
    std::vector<Future<pid_t>> futures;
    for (int i = 0; i < 9; ++i) {
        futures.push_back(pool.submit(::getpid));
    }
    pool.shutdown(false);
    std::map<pid_t, int> tasks;
    for (const auto& future : futures) {
        ++tasks[future.result(generous)];
    }
    BOOST_TEST(tasks.size() == 3U);
    for (const auto& [worker, count] : tasks) {
        BOOST_TEST(count == 3);
    }
}

BOOST_AUTO_TEST_CASE(an_idle_worker_leaves_after_a_while) {
    ProcessPoolExecutor pool({.max_workers = 1, .idle_timeout = 20ms});
    const pid_t worker = pool.submit(::getpid).result(generous);
    BOOST_TEST(wait_gone(worker));
    BOOST_TEST(pool.submit(::getpid).result(generous) != worker);
}

BOOST_AUTO_TEST_CASE(a_worker_that_has_grown_leaves) {
    ProcessPoolExecutor pool({.max_workers = 1, .max_memory_growth = 64U << 20U});
    const pid_t worker = pool.submit(::getpid).result(generous);
    BOOST_TEST(pool.submit(::getpid).result(generous) == worker);
    pool.submit([] {
            static std::vector<char> leak;
            leak.assign(std::size_t{256} << 20U, 'x');
        }
    ).result(generous);
    BOOST_TEST(pool.submit(::getpid).result(generous) != worker);
}

// --- statistics and observers --------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(statistics_are_exact) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    BOOST_TEST((pool.stats() == ExecutorStats()));
    auto running = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    auto cancelled = pool.submit(twice, 1);
    auto queued = pool.submit(twice, 2);
    BOOST_TEST(cancelled.cancel());
    const ExecutorStats before{
        .workers = 1, .queued = 1, .running = 1, .submitted = 3, .cancelled = 1};
    BOOST_TEST((pool.stats() == before));
    gate.open();
    BOOST_TEST(queued.result(generous) == 4);
    const ExecutorStats after{
        .workers = 1, .idle = 1, .submitted = 3, .completed = 2, .cancelled = 1};
    BOOST_TEST((pool.stats() == after));
    auto failed = pool.submit([] { throw std::runtime_error("no"); });
    failed.wait_for(generous);
    BOOST_TEST(pool.stats().failed == 1U);
}

namespace {

class Recorder final : public ExecutorObserver {
public:
    void task_queued(const TaskEvent& event) noexcept override { record("queued", event); }
    void task_started(const TaskEvent& event) noexcept override { record("started", event); }
    void task_finished(const TaskEvent& event, TaskOutcome outcome) noexcept override {
        const char* const names[] = {"returned", "raised", "cancelled"};
        record(names[static_cast<std::size_t>(outcome)], event);
    }

    std::string story(const std::string& name) {
        const std::lock_guard lock(mutex_);
        return stories_[name];
    }

private:
    void record(const char* what, const TaskEvent& event) {
        const std::lock_guard lock(mutex_);
        std::string& story = stories_[std::string(event.name)];
        story += story.empty() ? "" : " ";
        story += what;
        if (!event.worker.empty()) {
            story += " by " + std::string(event.worker);
        }
    }

    std::mutex mutex_;
    std::map<std::string, std::string> stories_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_observer_hears_of_every_task) {
    const auto recorder = std::make_shared<Recorder>();
    ProcessGate gate;
    std::string worker;
    {
        ProcessPoolExecutor pool({.max_workers = 1, .observer = recorder});
        auto good = pool.submit({.name = "good"}, pass, gate.name());
        auto bad = pool.submit({.name = "bad"}, [] { throw std::runtime_error("no"); });
        auto never = pool.submit({.name = "never"}, twice, 1);
        gate.wait_for_arrivals(1);
        worker = " by worker " + std::to_string(pool.worker_pids().at(0));
        BOOST_TEST(never.cancel());
        gate.open();
        good.result(generous);
        BOOST_TEST(recorder->story("good") == "queued started" + worker + " returned" + worker);
    }
    BOOST_TEST(recorder->story("bad") == "queued started" + worker + " raised" + worker);
    BOOST_TEST(recorder->story("never") == "queued cancelled");
}

BOOST_AUTO_TEST_CASE(an_observer_hears_of_tasks_that_wait_for_room) {
    const auto recorder = std::make_shared<Recorder>();
    for (const bool refused : {false, true}) {
        const std::string name = refused ? "refused" : "admitted";
        ProcessGate gate;
        ProcessPoolExecutor pool({.max_workers = 1, .max_queue = 1, .observer = recorder});
        auto running = pool.submit(pass, gate.name());
        gate.wait_for_arrivals(1);
        auto queued = pool.submit(twice, 1);
        std::thread submits([&] {
            try {
                pool.submit({.name = name}, twice, 2).result(generous);
            } catch (const ShutdownError&) {
            }
        });
        BOOST_TEST(eventually([&] { return !recorder->story(name).empty(); }));
        BOOST_TEST(recorder->story(name) == "queued");
        if (refused) {
            pool.shutdown(false);
        }
        gate.open();
        submits.join();
    }
    BOOST_TEST(recorder->story("refused") == "queued cancelled");
    BOOST_TEST(recorder->story("admitted").starts_with("queued started by worker "));
}

// --- the end, and waits that would not come to it ------------------------------------------------

BOOST_AUTO_TEST_CASE(shutdown_for_says_whether_it_was_in_time) {
    ProcessGate gate;
    ProcessPoolExecutor pool(1);
    auto running = pool.submit(pass, gate.name());
    gate.wait_for_arrivals(1);
    const pid_t worker = pool.worker_pids().at(0);
    BOOST_TEST(!pool.shutdown_for(10ms));
    BOOST_CHECK_THROW(pool.submit(twice, 1), ShutdownError);
    gate.open();
    BOOST_TEST(pool.shutdown_for(generous));
    BOOST_TEST(wait_gone(worker));
    BOOST_TEST(pool.shutdown_for(0s));
    ProcessPoolExecutor unused(1);
    BOOST_TEST(unused.shutdown_for(0s));
}

BOOST_AUTO_TEST_CASE(a_callback_that_waits_for_the_pool_gets_an_error) {
    ProcessPoolExecutor pool(1);
    Gate done;
    std::string problem = "none";
    pool.submit(twice, 1).add_done_callback([&] {
        auto other = pool.submit(twice, 2);
        try {
            other.result();
        } catch (const DeadlockError& error) {
            problem = error.what();
        }
        done.open();
    });
    done.wait();
    BOOST_TEST(problem.find("a callback of a process pool") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_callback_that_waits_for_who_destroys_the_pool_gets_an_error) {
    std::optional<ProcessPoolExecutor> pool(std::in_place, 1);
    ThreadPoolExecutor threads(1);
    Promise<Future<void>> known;
    Promise<pid_t> callback;
    Promise<std::string> problem;
    pool->submit(twice, 1).add_done_callback([&, destroys = known.get_future()] {
        const Future<void> destroyer = destroys.result();
        callback.set_result(::gettid());
        try {
            destroyer.result();
            problem.set_result("none");
        } catch (const DeadlockError& error) {
            problem.set_result(error.what());
        }
    });
    const auto destroyer = threads.submit({.name = "destroyer"}, [&] {
        BOOST_TEST(falls_asleep(callback.get_future().result()));
        pool.reset();
    });
    known.set_result(destroyer);
    destroyer.result(generous);
    const std::string expected = "a callback of a process pool, which waits for \"destroyer\"";
    BOOST_TEST(problem.get_future().result().find(expected) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(bad_options_are_refused) {
    BOOST_CHECK_THROW(ProcessPoolExecutor({.max_tasks_per_child = 0}), std::invalid_argument);
    BOOST_CHECK_THROW(ProcessPoolExecutor({.start_timeout = 0s}), std::invalid_argument);
    BOOST_CHECK_THROW(ProcessPoolExecutor({.idle_timeout = 0s}), std::invalid_argument);
    BOOST_CHECK_THROW(ProcessPoolExecutor({.prefetch = -1}), std::invalid_argument);
    BOOST_CHECK_THROW(ProcessPoolExecutor({.max_queue = 0}), std::invalid_argument);
    BOOST_CHECK_THROW(ProcessPoolExecutor({.termination_grace = -1s}), std::invalid_argument);
}

BOOST_AUTO_TEST_SUITE_END()
