#pragma once

#include "process/exit_status.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// @file
/// What a process pool decides: which worker gets which task, when a worker is started or stopped,
/// and what a worker's death means. Events go in, actions come out; pipes, processes, clocks and
/// threads are somebody else's. Any order of events can therefore be tried in a unit test.

namespace cofutures::process {

/// Names a task. The caller chooses it; a later submission has a greater one.
using TaskId = std::uint64_t;
/// Names a worker. The state machine chooses it; it is never used again.
using WorkerId = std::uint64_t;

/// Why a pool broke.
enum class BreakReason {
    worker_died,
    worker_misbehaved,
    initializer_failed,
    spawn_failed,
    terminated,
};

/// Start a process; answer with `worker_started` or `spawn_failed`.
struct SpawnWorker {
    WorkerId worker;
};
/// Hand the task to the worker; answered, in time, by `task_finished` or `worker_gone`.
struct SendTask {
    WorkerId worker;
    TaskId task;
};
/// Ask the worker to leave when it has read everything that was sent to it.
struct StopWorker {
    WorkerId worker;
};
/// End the worker by a signal: one it cannot refuse if `force`, a request to terminate otherwise.
struct KillWorker {
    WorkerId worker;
    bool force;
};
/// The pool is broken; a FailTask follows for each task that it held. Comes at most once.
struct BreakPool {
    BreakReason reason;
    /// The worker to blame and what is known of it; 0 if no worker is.
    WorkerId worker = 0;
    std::int64_t pid = 0;
    ExitStatus exit{};
    /// The task that the worker was running. Those sent ahead to it had not begun: no blame on
    /// them.
    std::optional<TaskId> task{};
    /// More words about the cause, if there are any.
    std::string text{};
};
/// The task ends with the pool's failure.
struct FailTask {
    TaskId task;
};
/// The task ends cancelled: `shutdown` dropped it before any worker got it.
struct CancelTask {
    TaskId task;
};
/// Shut down, and every worker is gone. Comes once, and nothing after it.
struct PoolFinished {};

using PoolAction = std::variant<
    SpawnWorker,
    SendTask,
    StopWorker,
    KillWorker,
    BreakPool,
    FailTask,
    CancelTask,
    PoolFinished>;
using PoolActions = std::vector<PoolAction>;

/// What a PoolFsm has to keep to.
struct PoolFsmConfig {
    /// Workers alive at one time.
    std::size_t max_workers = 1;
    /// Tasks handed to one worker at one time; the first of them runs, the others wait in its pipe.
    std::size_t window = 1;
};

/// The decisions of one process pool.
///
/// Each event appends what must be done now, in order, to `out`. An event that comes late (from a
/// worker that is being killed, for a task that has ended) is expected, and changes nothing.
///
/// @code
/// PoolFsm fsm({.max_workers = 2});
/// PoolActions todo;
/// fsm.submitted(1, todo);           // SpawnWorker{1}
/// fsm.worker_started(1, pid, todo);
/// fsm.worker_ready(1, todo);        // SendTask{1, 1}
/// fsm.task_finished(1, 1, todo);
/// fsm.shutdown(false, todo);        // StopWorker{1}
/// fsm.worker_gone(1, {.exit_code = 0, .signal = {}}, todo);  // PoolFinished
/// @endcode
///
/// Each submitted task ends once: by `task_finished` or `cancelled` returning true, by FailTask or
/// by CancelTask. A worker that was told to stop or was killed has no task left here, so its end,
/// however it comes, is no news.
///
/// @thread_safety Distinct objects: safe. Shared objects: unsafe; the supervisor's strand owns one.
/// @python        _ExecutorManagerThread of ProcessPoolExecutor, the part that decides.
class PoolFsm {
public:
    /// @throws std::invalid_argument  if `max_workers` or `window` is 0.
    explicit PoolFsm(const PoolFsmConfig& config);

    /// Takes a task.
    ///
    /// @param task  Greater than every id given before.
    /// @returns False, and nothing happens, if the pool is broken or shut down.
    bool submitted(TaskId task, PoolActions& out);

    /// Drops a task that waits.
    ///
    /// @returns False if no worker-less task has this id: it was handed over, or has ended. One
    /// that
    ///          is found cancelled when it is to be sent is reported by `task_finished` instead.
    bool cancelled(TaskId task, PoolActions& out);

    /// The process of a SpawnWorker runs; it takes no task before `worker_ready`.
    void worker_started(WorkerId worker, std::int64_t pid, PoolActions& out);

    /// The worker ran its initializer and waits for tasks.
    void worker_ready(WorkerId worker, PoolActions& out);

    /// The process of a SpawnWorker could not be started.
    ///
    /// The pool goes on with the workers that it has, and tries no more of them at a time; only
    /// when there is none, and a task waits, does it break.
    void spawn_failed(WorkerId worker, std::string_view text, PoolActions& out);

    /// The worker is done with the task, whatever came of it.
    ///
    /// A task that is not the one which the worker runs is misbehaviour.
    ///
    /// @returns True if this is how the task ended; false if it ended before, or never was there.
    bool task_finished(WorkerId worker, TaskId task, PoolActions& out);

    /// The worker's process ended and all that it had sent was read.
    void worker_gone(WorkerId worker, const ExitStatus& exit, PoolActions& out);

    /// The worker's initializer threw.
    void initializer_failed(WorkerId worker, std::string_view text, PoolActions& out);

    /// The worker sent what no worker of ours sends.
    void worker_misbehaved(WorkerId worker, std::string_view text, PoolActions& out);

    /// Takes no more tasks, and lets the workers leave when those it has are done.
    ///
    /// @param cancel_pending  Cancels the tasks that no worker has got. May be asked for later too.
    void shutdown(bool cancel_pending, PoolActions& out);

    /// Shuts down, cancels what waits, fails what runs and ends all workers now.
    ///
    /// @param kill  By a signal that they cannot refuse. May be called again to go further.
    void terminate(bool kill, PoolActions& out);

    /// The task that the worker runs, if it runs one.
    [[nodiscard]] std::optional<TaskId> running_task(WorkerId worker) const;

    [[nodiscard]] bool is_broken() const noexcept { return broken_; }
    [[nodiscard]] bool is_shut_down() const noexcept { return shut_down_; }
    /// Tasks that no worker has got.
    [[nodiscard]] std::size_t queued() const noexcept { return queue_.size(); }
    /// Tasks that workers have got.
    [[nodiscard]] std::size_t handed_over() const noexcept { return handed_over_; }
    /// Workers not gone, those starting and leaving too.
    [[nodiscard]] std::size_t workers() const noexcept { return workers_.size(); }
    /// Workers that wait for a task.
    [[nodiscard]] std::size_t idle() const noexcept { return idle_.size(); }

private:
    struct Worker {
        std::int64_t pid = 0;
        bool started = false;
        bool ready = false;
        bool stopped = false;
        bool killed = false;
        bool kill_by_force = false;
        /// In the order sent: the front one runs.
        std::deque<TaskId> tasks{};

        [[nodiscard]] bool is_leaving() const noexcept { return stopped || killed; }
    };

    Worker* find(WorkerId id);
    Worker* least_loaded(WorkerId& id);
    void settle(PoolActions& out);
    void dispatch(PoolActions& out);
    void send(WorkerId id, Worker& worker, PoolActions& out);
    void stop(WorkerId id, Worker& worker, PoolActions& out);
    void kill(WorkerId id, Worker& worker, bool force, PoolActions& out);
    void withdraw(WorkerId id, const Worker& worker);
    void take_back(Worker& worker);
    void fault(WorkerId id, BreakReason reason, std::string_view text, PoolActions& out);
    void break_pool(BreakPool cause, PoolActions& out);
    void fail_all(BreakPool cause, PoolActions& out);
    void kill_all(bool force, PoolActions& out);

    std::size_t max_workers_;
    std::size_t window_;
    WorkerId next_worker_ = 1;
    std::map<WorkerId, Worker> workers_;
    /// Ready workers without a task; the last one has been so for the shortest time.
    std::vector<WorkerId> idle_;
    /// Ids grow, so their order is the order of submission, and a cancelled one is found quickly.
    std::set<TaskId> queue_;
    /// Workers that will take a task as soon as they are ready.
    std::size_t starting_ = 0;
    std::size_t handed_over_ = 0;
    bool broken_ = false;
    bool shut_down_ = false;
    bool finished_ = false;
};

}  // namespace cofutures::process
