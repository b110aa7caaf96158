#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace cofutures::process {

/// Tells whether the system ended a process because memory ran out.
///
/// Nothing in a process's status says so; but its control group counts such ends. If the count has
/// grown, and a member was ended by SIGKILL that nobody here sent, that is why.
///
/// @thread_safety  Distinct objects: safe. Shared objects: unsafe.
class OomWatch {
public:
    /// The count as it was when a process began.
    struct Mark {
        std::string file;
        std::uint64_t count = 0;
    };

    /// @param processes, groups  Where the system shows them; others are for tests.
    explicit OomWatch(std::string processes = "/proc", std::string groups = "/sys/fs/cgroup");

    /// Remembers the count of the group that the process is in; nothing if that cannot be known.
    [[nodiscard]] std::optional<Mark> begin(pid_t pid) const;

    /// Whether memory is why a process that SIGKILL ended did so. Each end that was counted
    /// explains one process.
    [[nodiscard]] bool explains(const Mark& mark);

private:
    [[nodiscard]] std::string find_counter(std::string_view memberships) const;

    std::string processes_;
    std::string groups_;
    std::map<std::string, std::uint64_t> explained_;  // up to which count, for each file
};

}  // namespace cofutures::process
