#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace cofutures {

/// What each worker process may use; what is not given is as in this process.
///
/// @code{.cpp} run
/// #include <cofutures/process_pool_executor.hpp>
/// #include <cassert>
///
/// int main(int argc, char** argv) {
///     cofutures::freeze_support(argc, argv);
///     cofutures::ProcessPoolExecutor pool(
///         {.limits = {.cpu_time = std::chrono::minutes(1), .open_files = 100, .nice = 5}}
///     );
///     assert(pool.submit([](int n) { return n + 1; }, 1).result() == 2);
/// }
/// @endcode
///
/// Limits are set before the worker's program, or the launcher's, begins, and hold for the whole
/// life of a worker and for all that its tasks start. One that the system refuses, such as a lower
/// nice level, fails the start of the worker with an error that names the limit; nothing is raised
/// beyond the hard limits of this process.
struct WorkerLimits {
    /// The most address space, in bytes: an allocation beyond it fails with std::bad_alloc. The
    /// program and its libraries count, and a sanitizer's shadow memory does.
    std::optional<std::uint64_t> address_space = std::nullopt;
    /// The most processor time; a worker that uses more is ended by SIGXCPU, and by SIGKILL a
    /// second later if a task handles that.
    std::optional<std::chrono::seconds> cpu_time = std::nullopt;
    /// The most file descriptors open at a time, its pipes and standard streams included.
    std::optional<std::uint64_t> open_files = std::nullopt;
    /// Added to the nice level: greater is more patient.
    std::optional<int> nice = std::nullopt;
    /// Numbers of the processors that it may run on; those that are not there are ignored unless
    /// there is no other.
    std::vector<int> cpus = {};
};

}  // namespace cofutures
