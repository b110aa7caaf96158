#pragma once

#include <cstddef>
#include <cstdint>

namespace cofutures {

/// What an executor is doing and has done: one consistent snapshot.
///
/// `submitted == queued + running + completed + failed + cancelled`, at every moment. A future that
/// is seen done is counted as done. What map() runs is counted by the tasks that it makes, which
/// take several items each.
///
/// @python  none.
struct ExecutorStats {
    /// Threads or processes that are there now, those that are starting too. An executor that does
    /// not own its threads says 0.
    std::size_t workers = 0;
    /// Workers that have nothing to do.
    std::size_t idle = 0;
    /// Tasks that have not begun. In a thread pool never more than ThreadPoolOptions::max_queue,
    /// but for those that may go over it.
    std::size_t queued = 0;
    /// Tasks that have begun and not ended.
    std::size_t running = 0;
    /// Tasks taken since the executor was made.
    std::uint64_t submitted = 0;
    /// Tasks that returned.
    std::uint64_t completed = 0;
    /// Tasks that ended with an exception, those lost with a broken executor too.
    std::uint64_t failed = 0;
    /// Tasks that were cancelled before they began.
    std::uint64_t cancelled = 0;
    /// Workers that ended although nobody asked them to. Process pools only.
    std::uint64_t worker_deaths = 0;
    /// Runs of a task begun again after its worker died. Process pools only.
    std::uint64_t retries = 0;
    /// Tasks that overran TaskOptions::timeout.
    std::uint64_t timeouts = 0;

    friend bool operator==(const ExecutorStats&, const ExecutorStats&) = default;
};

}  // namespace cofutures
