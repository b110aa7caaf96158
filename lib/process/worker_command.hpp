#pragma once

#include <cofutures/process_pool_options.hpp>

#include "process/block_arena.hpp"
#include "process/child_process.hpp"
#include "process/oom_watch.hpp"
#include "process/worker.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace cofutures::process {

/// What a pool without a worker_executable starts.
inline constexpr const char* own_program = "/proc/self/exe";

/// How a worker process is started, and what it is told first.
struct WorkerCommand {
    std::string program = own_program;
    std::vector<std::string> launcher{};
    std::vector<std::pair<std::string, std::string>> environment{};
    std::string working_directory{};
    WorkerLimits limits{};
    /// Whether its standard output and error stream are read.
    bool captures_output = false;
    /// Says whether memory is why a worker died; null if nobody wants to know.
    std::shared_ptr<OomWatch> oom_watch{};
    /// Where large arguments lie; null if in the frames.
    std::shared_ptr<BlockArena> arena{};
    /// A whole frame, sent before any other; empty for none.
    std::vector<std::byte> first_frame{};
};

/// The part of the options that is about starting a worker, checked and with the initializer
/// encoded.
///
/// @throws std::invalid_argument  for what can never be started.
/// @throws UnknownTaskError       if the initializer is in no module.
[[nodiscard]] WorkerCommand make_worker_command(const ProcessPoolOptions& options);

/// Asks for a worker that has these descriptors.
[[nodiscard]] SpawnRequest
make_request(const WorkerCommand& command, const WorkerDescriptors& descriptors);

}  // namespace cofutures::process
