#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/state_base.hpp>

#include <cstddef>

namespace cofutures::detail {

/// The part of an executor that takes tasks, without the executor's lifetime.
///
/// A map that is read lazily, and the drainers of any map, submit more tasks later, on other
/// threads. They keep this object, which refuses when the executor is shut down or gone.
class COFUTURES_EXPORT TaskSink {
public:
    TaskSink(const TaskSink&) = delete;
    TaskSink& operator=(const TaskSink&) = delete;

    /// Takes a pending task, or throws as Executor::submit() does.
    virtual void submit(StatePtr task) = 0;

    /// Whether tasks leave this process, and so must have a RemoteTask.
    [[nodiscard]] virtual bool is_remote() const noexcept { return false; }

    /// How many tasks may run at the same time: for how many to split the work. At least 1.
    [[nodiscard]] virtual std::size_t worker_count() const noexcept = 0;

    /// Whether the calling thread is one that runs the tasks: if it waited for one, it might wait
    /// for itself.
    [[nodiscard]] virtual bool runs_this_thread() const noexcept = 0;

    /// Whether what runs the tasks is in this process: threads from before a fork are not.
    [[nodiscard]] virtual bool is_at_home() const noexcept { return true; }

    /// Whether long tasks keep others from running who have no place in the executor's queue.
    [[nodiscard]] virtual bool has_other_work() const noexcept { return false; }

protected:
    TaskSink() = default;
    virtual ~TaskSink() = default;
};

}  // namespace cofutures::detail
