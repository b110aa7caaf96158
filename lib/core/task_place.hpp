#pragma once

#include <cofutures/detail/state_base.hpp>

#include "core/task_account.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cofutures::detail {

class TaskPool;
class WaitEdge;
class WorkerContext;

/// Where a task is: in a pool's queue, on a worker of one, or among the handlers that its workers
/// run. And where the end of a pool is: that comes when all its workers are through.
class TaskPlace {
public:
    TaskPlace(const TaskPlace&) = delete;
    TaskPlace& operator=(const TaskPlace&) = delete;

    [[nodiscard]] virtual const TaskPool& pool() const noexcept = 0;
    /// The worker that this is, or null.
    [[nodiscard]] virtual const WorkerContext* worker() const noexcept { return nullptr; }
    /// Whether this is the end of the pool.
    [[nodiscard]] virtual bool is_end() const noexcept { return false; }

protected:
    TaskPlace() = default;
    virtual ~TaskPlace() = default;
};

/// How many tasks the workers of a pool have begun and ended.
struct TaskCounts {
    std::uint64_t begun = 0;
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;
    std::size_t busy = 0;  ///< workers that have begun a task and not ended it
};

/// The place of the future that is done when a pool has ended.
class PoolEnd final : public TaskPlace {
public:
    explicit PoolEnd(const TaskPool& pool) noexcept : pool_(pool) {}
    [[nodiscard]] const TaskPool& pool() const noexcept override { return pool_; }
    [[nodiscard]] bool is_end() const noexcept override { return true; }

private:
    const TaskPool& pool_;
};

/// The place of what goes on as a handler of a pool's Asio executor: any of the workers may run it,
/// and none runs it in place of a wait, as it may be on a strand.
class PoolHandlers final : public TaskPlace {
public:
    explicit PoolHandlers(const TaskPool& pool) noexcept : pool_(pool) {}
    [[nodiscard]] const TaskPool& pool() const noexcept override { return pool_; }

private:
    const TaskPool& pool_;
};

/// A pool whose workers run tasks of its queue, and may run one that they wait for in place.
class TaskPool : public TaskPlace {
public:
    [[nodiscard]] const TaskPool& pool() const noexcept override { return *this; }

    /// Who counts the tasks that its workers run; null if they count for nobody.
    [[nodiscard]] virtual const TaskAccount* account() const noexcept { return nullptr; }

    /// How many workers it can have at the most; fewer if the system grants no more now.
    [[nodiscard]] virtual std::size_t most_workers() const noexcept = 0;
    /// How many of them run handlers of its Asio executor.
    [[nodiscard]] virtual std::size_t most_handler_workers() const noexcept { return 0; }
    /// How many it can have at the most if there are only handlers to run: none is started for
    /// these any more once the pool is closed.
    [[nodiscard]] virtual std::size_t most_workers_without_tasks() const noexcept {
        return most_workers();
    }

    /// Makes the calling thread fit to run tasks for a short while, as a worker's initializer does.
    virtual void begin_substitute() {}
    /// Takes that back, as a worker's finalizer does.
    virtual void end_substitute() noexcept {}

    /// A worker is about to run a task that stands in the queue, as it waits for it. Gives the
    /// reference that it needs meanwhile, which may be the queue's own.
    virtual StatePtr take_back(StateBase& task) noexcept { return StatePtr(&task); }

    /// A worker is about to wait for what others may have to do: it is time to try to have some.
    virtual void worker_waits() noexcept {}
    /// A worker is about to block, and does so until the second call: others may have to do its
    /// work.
    virtual void worker_blocks() noexcept {}
    virtual void worker_goes_on() noexcept {}

    /// Whether a worker that waits for one of its tasks may run it in place. If not, its tasks wait
    /// for its workers also when they have begun.
    [[nodiscard]] virtual bool runs_in_place() const noexcept { return true; }

    /// Whether its tasks end only if the calling thread goes on, which is none of its workers.
    [[nodiscard]] virtual bool needs_this_thread() const noexcept { return false; }

    /// Whether its workers are in this process: those of a pool from before a fork are not.
    [[nodiscard]] virtual bool is_at_home() const noexcept { return true; }

    /// What a message calls a worker that runs no task.
    [[nodiscard]] virtual const char* worker_label() const noexcept { return "a task"; }

    /// What a message calls the pool.
    [[nodiscard]] virtual std::string label() const { return "a pool"; }

    /// The place of the future that says that all workers are through.
    [[nodiscard]] const PoolEnd& end() const noexcept { return end_; }
    /// The place of what its Asio executor has.
    [[nodiscard]] const PoolHandlers& handlers() const noexcept { return handlers_; }

protected:
    TaskPool() = default;
    /// Waits until nobody looks at it.
    ~TaskPool() override;

    /// What all workers have done, those that are gone too. Each worker's numbers belong to one
    /// moment; the moments differ.
    [[nodiscard]] TaskCounts count_tasks() const;

    /// As TaskAccount::ended_elsewhere(), which calls it.
    void count_ended_elsewhere(bool failed) noexcept {
        (failed ? failed_elsewhere_ : completed_elsewhere_).fetch_add(1, std::memory_order_acq_rel);
    }

private:
    friend class WorkerContext;
    friend class WaitGraph;

    void add(WorkerContext& worker);
    void remove(WorkerContext& worker) noexcept;

    const PoolEnd end_{*this};
    const PoolHandlers handlers_{*this};
    std::vector<const WorkerContext*> workers_;  // guarded by the wait graph's mutex
    TaskCounts gone_;                            // likewise: by workers that are gone
    std::atomic<std::uint64_t> completed_elsewhere_{0};
    std::atomic<std::uint64_t> failed_elsewhere_{0};
};

/// A worker thread of a pool: lives on its stack while it runs tasks.
class WorkerContext final : public TaskPlace {
public:
    /// @param name           What observers call it.
    /// @param stands_in_for  A worker that goes on when this one is through; it counts as none.
    explicit WorkerContext(
        TaskPool& pool, std::string name = {}, WorkerContext* stands_in_for = nullptr
    );
    ~WorkerContext() override;

    /// It will run no more tasks: nobody is to count on it from now on. Under the wait graph's
    /// mutex.
    void retire() noexcept;

    /// From now on it runs handlers of the pool's Asio executor.
    void run_handlers() noexcept { runs_handlers_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool runs_handlers() const noexcept {
        return runs_handlers_.load(std::memory_order_relaxed);
    }

    /// The calling thread's; null if it is no worker.
    [[nodiscard]] static WorkerContext* current() noexcept { return current_; }

    [[nodiscard]] const WorkerContext* worker() const noexcept override { return this; }
    [[nodiscard]] TaskPool& pool() const noexcept override { return pool_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// Says which task the thread turns to, and gives the one that it leaves for it.
    StateBase* run(StateBase* task) noexcept { return std::exchange(task_, task); }

    /// Whether this worker's pool is the one that counts the task.
    [[nodiscard]] bool counts_for(const TaskAccount* account) const noexcept {
        return account == account_;
    }
    void count_begun() noexcept { add_one(begun_); }
    void count_left() noexcept { add_one(left_); }
    void count_ended(bool failed) noexcept { add_one(failed ? failed_ : completed_); }
    [[nodiscard]] TaskCounts counts() const noexcept;

    /// The thread is about to block, and has stopped blocking. May be nested.
    void begin_blocking() noexcept {
        if (blocked_++ == 0) {
            pool_.worker_blocks();
        }
    }
    void end_blocking() noexcept {
        if (--blocked_ == 0) {
            pool_.worker_goes_on();
        }
    }

    /// Whether so much of the stack is in use that no further task should begin on top of it.
    [[nodiscard]] bool is_deep() const noexcept;

private:
    friend class TaskPool;
    friend class WaitGraph;

    // Only this thread writes.
    static void add_one(std::atomic<std::uint64_t>& count) noexcept {
        count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

    static thread_local constinit WorkerContext* current_;

    TaskPool& pool_;
    const TaskAccount* const account_;
    const std::string name_;
    WorkerContext* const stands_in_for_;
    int blocked_ = 0;            // the thread's: how deep it is in blocking
    StateBase* task_ = nullptr;  // the innermost that runs; the thread's, at rest while it waits
    // Guarded by the wait graph's mutex.
    bool retired_ = false;
    WaitEdge* edge_ = nullptr;                 // its wait
    const WorkerContext* stand_in_ = nullptr;  // who runs a task in its place, while it waits
    std::atomic<bool> runs_handlers_{false};
    std::atomic<std::uint64_t> begun_{0};
    std::atomic<std::uint64_t> completed_{0};
    std::atomic<std::uint64_t> failed_{0};
    std::atomic<std::uint64_t> left_{0};
};

inline thread_local constinit WorkerContext* WorkerContext::current_ = nullptr;

/// A worker blocks for as long as this object lives. Does nothing for a thread that is no worker.
class BlockedWorker {
public:
    explicit BlockedWorker(WorkerContext* worker) noexcept : worker_(worker) {
        if (worker_ != nullptr) {
            worker_->begin_blocking();
        }
    }
    BlockedWorker(const BlockedWorker&) = delete;
    BlockedWorker& operator=(const BlockedWorker&) = delete;
    ~BlockedWorker() {
        if (worker_ != nullptr) {
            worker_->end_blocking();
        }
    }

private:
    WorkerContext* const worker_;
};

}  // namespace cofutures::detail
