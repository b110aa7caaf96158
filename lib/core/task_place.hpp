#pragma once

#include <cofutures/detail/state_base.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace cofutures::detail {

class WorkerContext;

/// Where a task is: in a pool's queue, or on a worker of one.
class TaskPlace {
public:
    TaskPlace(const TaskPlace&) = delete;
    TaskPlace& operator=(const TaskPlace&) = delete;

    /// The worker that this is, or null for a pool.
    [[nodiscard]] virtual const WorkerContext* worker() const noexcept { return nullptr; }

protected:
    TaskPlace() = default;
    virtual ~TaskPlace() = default;
};

/// A pool whose workers run tasks of its queue, and may run one that they wait for in place.
class TaskPool : public TaskPlace {
public:
    /// How many workers it can have at the most.
    [[nodiscard]] virtual std::size_t most_workers() const noexcept = 0;

    /// Makes the calling thread fit to run tasks for a short while, as a worker's initializer does.
    virtual void prepare_substitute() = 0;

    /// Whether a worker that waits for one of its tasks may run it in place. If not, its tasks wait
    /// for its workers also when they have begun.
    [[nodiscard]] virtual bool runs_in_place() const noexcept { return true; }

    /// Whether its tasks end only if the calling thread goes on, which is none of its workers.
    [[nodiscard]] virtual bool needs_this_thread() const noexcept { return false; }

    /// What a message calls a worker that runs no task.
    [[nodiscard]] virtual const char* worker_label() const noexcept { return "a task"; }

protected:
    TaskPool() = default;
    ~TaskPool() override = default;

    /// For the destructor of a pool without workers: waits until nobody looks at it.
    static void leave_graph() noexcept;

private:
    friend class WorkerContext;
    friend class WaitGraph;

    std::vector<const WorkerContext*> workers_;  // guarded by the wait graph's mutex
};

/// A worker thread of a pool: lives on its stack while it runs tasks.
class WorkerContext final : public TaskPlace {
public:
    explicit WorkerContext(TaskPool& pool);
    ~WorkerContext() override;

    /// The calling thread's; null if it is no worker.
    [[nodiscard]] static WorkerContext* current() noexcept { return current_; }

    [[nodiscard]] const WorkerContext* worker() const noexcept override { return this; }
    [[nodiscard]] TaskPool& pool() const noexcept { return pool_; }

    /// Says which task the thread turns to, and gives the one that it leaves for it.
    StateBase* run(StateBase* task) noexcept { return std::exchange(task_, task); }

    /// Whether so much of the stack is in use that no further task should begin on top of it.
    [[nodiscard]] bool is_deep() const noexcept;

private:
    friend class WaitGraph;

    static thread_local constinit WorkerContext* current_;

    TaskPool& pool_;
    StateBase* task_ = nullptr;     // the innermost that runs; the thread's, at rest while it waits
    StateBase* awaited_ = nullptr;  // guarded by the wait graph's mutex
};

inline thread_local constinit WorkerContext* WorkerContext::current_ = nullptr;

}  // namespace cofutures::detail
