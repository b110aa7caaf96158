#pragma once

#include <cofutures/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace cofutures::process {

/// How a process ended. Code and signal empty: nobody knows, as the host program took the status
/// first.
struct ExitStatus {
    /// What it gave to `exit`, if it exited.
    std::optional<int> exit_code{};
    /// The signal that ended it, if one did.
    std::optional<int> signal{};
    /// Whether the system sent that signal because memory ran out.
    bool oom_killed = false;
    /// The last lines of its error stream, if that is read.
    std::string stderr_tail{};

    friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

/// The same for those who get an error.
inline WorkerExit make_worker_exit(std::int64_t pid, const ExitStatus& exit, std::string task) {
    WorkerExit result;
    result.pid = pid;
    result.exit_code = exit.exit_code;
    result.signal = exit.signal;
    result.task = std::move(task);
    result.oom_killed = exit.oom_killed;
    result.stderr_tail = exit.stderr_tail;
    return result;
}

}  // namespace cofutures::process
