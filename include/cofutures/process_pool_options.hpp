#pragma once

#include <cofutures/observer.hpp>
#include <cofutures/on_full.hpp>
#include <cofutures/worker_initializer.hpp>
#include <cofutures/worker_limits.hpp>
#include <cofutures/worker_output.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace cofutures {

/// What the unexpected end of a worker means for its pool.
enum class WorkerDeath {
    /// The pool is broken, as Python's: every pending future gets a BrokenProcessPool.
    break_pool,
    /// The task that it ran gets WorkerDiedError, or is run again if TaskOptions::retries says so;
    /// all others go on, and a new worker is started.
    replace,
};

/// How a ProcessPoolExecutor is made; each member has a default.
struct ProcessPoolOptions {
    /// The most worker processes it may have, at least 1. Default: the processors that this process
    /// may use.
    std::optional<int> max_workers{};
    /// Called in each worker before its first task: a function or a callable without data, perhaps
    /// with arguments, `WorkerInitializer(fn, args...)`. If it throws the pool breaks.
    WorkerInitializer initializer{};
    /// A worker that has run so many tasks leaves, and another takes its place when there is work;
    /// at least 1. Default: no limit.
    std::optional<int> max_tasks_per_child{};
    /// What the unexpected end of a worker means.
    WorkerDeath on_worker_death = WorkerDeath::break_pool;
    /// A worker that has not come to freeze_support() after so long is killed, and counts as one
    /// that died; its initializer has all the time it wants. Long enough for a loaded machine;
    /// std::nullopt for any time, such as with a debugger as the launcher.
    std::optional<std::chrono::nanoseconds> start_timeout = std::chrono::minutes(1);
    /// A worker without work for so long leaves. Default: never.
    std::optional<std::chrono::nanoseconds> idle_timeout{};
    /// What each worker may use.
    WorkerLimits limits{};
    /// Variables added to this program's environment, or put in their place, in each worker.
    std::map<std::string, std::string> environment{};
    /// Where workers start. Default: where this program is.
    std::string working_directory{};
    /// The program that workers run; a path, or a name to look up in PATH. It has to begin with
    /// freeze_support(). One of this program's build runs every task. Another one, of the same
    /// version of cofutures, runs those that a shared library submits, of which both programs have
    /// the same build; any other fails with UnknownTaskError. Default: this very program.
    std::string worker_executable{};
    /// Words put before each worker's command, such as `{"nice", "-n", "10"}` or
    /// `{"prlimit", "--as=1000000000"}`. They must end in running the rest of the command and leave
    /// open the descriptors that they inherit.
    std::vector<std::string> launcher{};
    /// The most tasks that are sent ahead to a worker, beside the one that it runs; 0 for none.
    /// Only such as prove to be short are. They stay pending, and can be cancelled, until it begins
    /// them, and are taken back when it has not got on for a millisecond while another is idle,
    /// else for 20. Default: up to 63.
    std::optional<int> prefetch{};
    /// Called with each line that a worker writes to its standard output or error stream. Without
    /// it workers write where this process does.
    WorkerOutputHandler on_worker_output{};
    /// The most tasks that wait for a worker, at least 1. Default: no limit.
    std::optional<std::size_t> max_queue{};
    /// What submit does when there is no room.
    OnFull on_full = OnFull::block;
    /// A worker whose resident memory has grown by more than so many bytes since its first task
    /// leaves when its task has ended, and another takes its place. Default: no limit.
    std::optional<std::uint64_t> max_memory_growth{};
    /// Between the steps of ending a worker that overran TaskOptions::timeout: SIGTERM, then
    /// SIGKILL after this time.
    std::chrono::nanoseconds termination_grace = std::chrono::milliseconds(100);
    /// Is told what becomes of tasks.
    std::shared_ptr<ExecutorObserver> observer{};
};

}  // namespace cofutures
