#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

namespace cofutures {

/// What each worker process may use; what is not given is as in this process.
///
/// Limits are set before the worker's program begins, and hold for the whole life of a worker.
struct WorkerLimits {
    /// The most address space, in bytes: an allocation beyond it fails with std::bad_alloc.
    std::optional<std::uint64_t> address_space = std::nullopt;
    /// The most processor time; a worker that uses more is ended by SIGXCPU.
    std::optional<std::chrono::seconds> cpu_time = std::nullopt;
    /// The most file descriptors open at a time, its pipes and standard streams included.
    std::optional<std::uint64_t> open_files = std::nullopt;
    /// Added to the nice level: greater is more patient.
    std::optional<int> nice = std::nullopt;
    /// Numbers of the processors that it may run on.
    std::vector<int> cpus = {};
};

}  // namespace cofutures
