#pragma once

#include <cofutures/export.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>

namespace cofutures {

/// How a task ended.
enum class TaskOutcome {
    returned,
    raised,
    cancelled,
};

/// What an executor says of one of its tasks. The views are valid during the call only.
struct TaskEvent {
    /// Names the task from when it is queued until it has finished; then the number may be used
    /// again for another one.
    std::uint64_t task = 0;
    /// TaskOptions::name, or what the task is called without one.
    std::string_view name{};
    /// The worker that runs it: a thread's name, such as `ThreadPoolExecutor-0_1`, or
    /// `worker 4711` for a process; empty while it is queued.
    std::string_view worker{};
    /// When it happened.
    std::chrono::steady_clock::time_point time{};
};

/// Is told what becomes of an executor's tasks: for traces, metrics, logs.
///
/// It is given to an executor when that is made (ThreadPoolOptions::observer,
/// ProcessPoolOptions::observer). An executor without one does no work for it.
///
/// For each task that is taken there is one `task_queued` and one `task_finished`, and between them
/// one `task_started` if it began. They come on the threads where it happens, several at once for
/// different tasks; those of one task one after another. A task that is cancelled is reported when
/// the executor comes to it. The task's own future ends after `task_finished`, so an observer must
/// not wait for it.
///
/// @thread_safety  The executor calls it from several threads at once.
/// @python         none.
class COFUTURES_EXPORT ExecutorObserver {
public:
    ExecutorObserver(const ExecutorObserver&) = delete;
    ExecutorObserver& operator=(const ExecutorObserver&) = delete;
    virtual ~ExecutorObserver();

    /// The executor has taken a task.
    virtual void task_queued(const TaskEvent& event) noexcept;
    /// A worker begins to run it.
    virtual void task_started(const TaskEvent& event) noexcept;
    /// It has ended, whether or not it began.
    virtual void task_finished(const TaskEvent& event, TaskOutcome outcome) noexcept;

protected:
    ExecutorObserver() = default;
};

}  // namespace cofutures
