#pragma once

#include <string>
#include <vector>

namespace cofutures::process {

/// Set in the environment of a worker until it has reached freeze_support().
inline constexpr const char* worker_variable = "COFUTURES_WORKER";

/// The command line that makes a program a worker that reads tasks from one descriptor and writes
/// results to another.
///
/// @param claims  Descriptor of the ClaimTable; -1 for none.
[[nodiscard]] std::vector<std::string> worker_arguments(int in, int out, int claims);

/// Whether this process was started as a worker and has not reached freeze_support().
[[nodiscard]] bool is_unserved_worker();

}  // namespace cofutures::process
