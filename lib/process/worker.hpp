#pragma once

#include <array>
#include <string>
#include <vector>

namespace cofutures::process {

/// Set in the environment of a worker until it has reached freeze_support().
inline constexpr const char* worker_variable = "COFUTURES_WORKER";

/// What a worker has of its pool; -1 for what is not there.
struct WorkerDescriptors {
    int in = -1;         ///< where tasks are read
    int out = -1;        ///< where results are written
    int claims = -1;     ///< the ClaimTable
    int arguments = -1;  ///< the pool's BlockArena
    int results = -1;    ///< the ResultMemory

    [[nodiscard]] std::array<int, 5> all() const noexcept {
        return {in, out, claims, arguments, results};
    }
};

/// The command line that makes a program a worker.
[[nodiscard]] std::vector<std::string> worker_arguments(const WorkerDescriptors& descriptors);

/// Whether this process was started as a worker and has not reached freeze_support().
[[nodiscard]] bool is_unserved_worker();

}  // namespace cofutures::process
