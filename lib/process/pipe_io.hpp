#pragma once

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <span>

#include <signal.h>

/// @file
/// What Asio's pipes do not offer in Boost 1.81: reading and writing what is possible at once, from
/// any thread, and keeping SIGPIPE away from threads that are not ours.

namespace cofutures::process {

/// Makes reads and writes on a descriptor return at once.
void set_non_blocking(int descriptor, boost::system::error_code& error) noexcept;

/// Writes as much as the pipe takes now; `error` is would_block when that is not all.
///
/// If the reader is gone `error` is broken_pipe and no SIGPIPE is raised.
///
/// @returns How many bytes were written.
std::size_t write_now(
    int descriptor, std::span<const std::byte> bytes, boost::system::error_code& error
) noexcept;

/// Reads what the pipe holds now; 0 at its end, or with `error`, which is would_block for an empty
/// one.
std::size_t
read_now(int descriptor, std::span<std::byte> room, boost::system::error_code& error) noexcept;

/// How many bytes the pipe holds now.
std::size_t readable_now(int descriptor) noexcept;

/// Blocks every signal in the calling thread while it lives. A thread started meanwhile never has
/// one unblocked: the program's handlers stay with its own threads.
class AllSignalsBlocked {
public:
    AllSignalsBlocked() noexcept;
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
    ~AllSignalsBlocked();

private:
    sigset_t before_{};
};

}  // namespace cofutures::process
