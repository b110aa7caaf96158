#pragma once

#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/state_base.hpp>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace cofutures::detail {

/// Asks running tasks to stop when their time is over, and counts those that overran.
///
/// One thread, which start() makes when the first task with a limit comes, and which keeps the
/// timer. Requests to stop, and so the stop callbacks of tasks, run on it. Thread-safe.
class TaskTimer : public std::enable_shared_from_this<TaskTimer> {
public:
    TaskTimer() = default;
    TaskTimer(const TaskTimer&) = delete;
    TaskTimer& operator=(const TaskTimer&) = delete;
    ~TaskTimer();

    /// Sees to it that there is a thread. Throws std::system_error.
    void start();

    /// A task with a limit begins, or has ended.
    void begun(StateBase& task) noexcept;
    void ended(StateBase& task) noexcept;

    /// There will be no more tasks: the thread leaves.
    void stop() noexcept;
    /// The same, and waits until it is gone, unless it is the calling one: a stop callback may
    /// destroy the executor.
    void join() noexcept;

    /// How many tasks ran longer than they may.
    [[nodiscard]] std::uint64_t overruns() const;

private:
    struct Running {
        StatePtr task;
        Clock::time_point end;
        bool asked = false;
    };

    void run() noexcept;

    mutable std::mutex mutex_;      // guards the block that follows
    std::vector<Running> running_;  // as many as threads, or a few more: no order
    std::uint64_t overruns_ = 0;
    bool stopped_ = false;
    std::condition_variable changed_;
    std::thread thread_;
};

}  // namespace cofutures::detail
