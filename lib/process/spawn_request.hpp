#pragma once

#include <cofutures/worker_limits.hpp>

#include <string>
#include <utility>
#include <vector>

namespace cofutures::process {

/// What to start, and with what around it.
struct SpawnRequest {
    /// A path, or a name to look up in PATH. The default is this very program, even if its file has
    /// been replaced or removed since it was started.
    std::string program = "/proc/self/exe";
    /// The words after the program's name.
    std::vector<std::string> arguments{};
    /// Words put before the program, the first of them looked up in PATH: {"nice", "-n", "10"}.
    /// They must end in running the words that follow, in the same process if signals are to reach
    /// it.
    std::vector<std::string> launcher{};
    /// Variables added to this program's environment, or put in their place.
    std::vector<std::pair<std::string, std::string>> environment{};
    /// Where the child starts; empty for where this program is.
    std::string working_directory{};
    /// Descriptors that the child gets under the same numbers, beside the three standard ones; it
    /// gets no others.
    std::vector<int> keep_open{};
    /// Descriptors that become its standard output and error stream; -1 for those of this program.
    int standard_output = -1;
    int standard_error = -1;
    /// What it may use, the launcher included. A limit is never raised beyond what this program may
    /// give.
    WorkerLimits limits{};
};

/// Checks what can be checked without starting anything.
///
/// @throws std::invalid_argument  if a word holds a null character, the name of a variable is none,
///                                or a limit makes no sense; the text says which.
void require_well_formed(const SpawnRequest& request);

}  // namespace cofutures::process
