#pragma once

#include <optional>

namespace cofutures::process {

/// How a process ended. Both fields empty: nobody knows, as the host program took the status first.
struct ExitStatus {
    /// What it gave to `exit`, if it exited.
    std::optional<int> exit_code;
    /// The signal that ended it, if one did.
    std::optional<int> signal;

    friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

}  // namespace cofutures::process
