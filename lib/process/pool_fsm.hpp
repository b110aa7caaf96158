#pragma once

#include "process/exit_status.hpp"
#include "process/run_times.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
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
/// Names a point in time to come. The state machine chooses it; it is never used again.
using TimerId = std::uint64_t;

/// What the state machine knows of a task.
struct PoolTask {
    TaskId id = 0;
    /// Greater ones are sent first.
    int priority = 0;
    /// How often it is run again after its worker died.
    int retries = 0;
    /// Longest time that it may run; zero for any.
    std::chrono::nanoseconds timeout{};
    /// Tasks of one kind take similar times.
    TaskKind kind = 0;
    /// It can be sent more than once, and so be sent ahead.
    bool light = false;

    // The state machine's own.
    int attempt = 1;
    int false_starts = 0;
    std::size_t number = 0;  // among those sent to its worker
};

/// Why a worker, or the whole pool, is lost.
enum class BreakReason {
    worker_died,
    worker_misbehaved,
    worker_did_not_come,
    initializer_failed,
    spawn_failed,
    workers_die_at_start,
    terminated,
};

/// What is known of a loss.
struct Blame {
    BreakReason reason;
    /// The worker to blame and what is known of it; 0 if no worker is.
    WorkerId worker = 0;
    std::int64_t pid = 0;
    ExitStatus exit{};
    /// The task that the worker was running, and which run of it this was. Those sent ahead to it
    /// had not begun: no blame on them.
    std::optional<TaskId> task{};
    int attempt = 0;
    /// More words about the cause, if there are any.
    std::string text{};
};

/// Start a process; answer with `worker_started` or `spawn_failed`.
struct SpawnWorker {
    WorkerId worker;
};
/// Hand the task to the worker; answered, in time, by `task_finished` or `worker_gone`, or at once
/// by `not_sent`.
struct SendTask {
    WorkerId worker;
    TaskId task;
    /// The worker is busy: it begins the task after those that it has.
    bool ahead;
};
/// Take back the tasks of the worker that it has not begun; answer with `recalled` at once.
struct RecallTasks {
    WorkerId worker;
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
    Blame blame;
};
/// The task ends with the pool's failure.
struct FailTask {
    TaskId task;
};
/// The task ends as its worker died; the pool goes on.
struct LoseTask {
    TaskId task;
    Blame blame;
};
/// A task that a worker had is in the queue again: it was not begun, or is to be run once more.
struct RequeueTask {
    TaskId task;
};
/// The task ends as it took too long; its worker is being ended.
struct TimeOutTask {
    TaskId task;
};
/// The task ends cancelled: `shutdown` dropped it before any worker got it.
struct CancelTask {
    TaskId task;
};
/// There is room for a task that waited for some: it is in the queue now.
struct AdmitTask {
    TaskId task;
};
/// A task that waited for room is not taken, as the pool is broken or shut down.
struct RefuseTask {
    TaskId task;
};
/// Bring `timer_expired` after this time, unless a ClearTimer comes first.
struct SetTimer {
    TimerId timer;
    std::chrono::nanoseconds delay;
};
struct ClearTimer {
    TimerId timer;
};
/// Shut down, and every worker is gone. Comes once, and nothing after it.
struct PoolFinished {};

using PoolAction = std::variant<
    SpawnWorker,
    SendTask,
    RecallTasks,
    StopWorker,
    KillWorker,
    BreakPool,
    FailTask,
    LoseTask,
    RequeueTask,
    TimeOutTask,
    CancelTask,
    AdmitTask,
    RefuseTask,
    SetTimer,
    ClearTimer,
    PoolFinished>;
using PoolActions = std::vector<PoolAction>;

/// What a PoolFsm has to keep to.
struct PoolFsmConfig {
    static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

    /// Workers alive at one time.
    std::size_t max_workers = 1;
    /// The most tasks handed to one worker at one time; the first of them runs, the others wait in
    /// its pipe. Only tasks that prove to be short get company.
    std::size_t window = 1;
    /// Tasks that wait for a worker at one time, beside those that one will take at once.
    std::size_t max_queue = unlimited;
    /// Tasks that one worker runs before it leaves.
    std::size_t max_tasks_per_worker = unlimited;
    /// Go on without a worker that died, instead of breaking.
    bool replace_workers = false;
    /// How long a worker may take to come; zero for any time.
    std::chrono::nanoseconds start_timeout{};
    /// How long a worker may be idle; zero for any time.
    std::chrono::nanoseconds idle_timeout{};
    /// Between asking a worker to end and ending it.
    std::chrono::nanoseconds termination_grace{};
};

/// What `PoolFsm::submitted` says.
enum class Admission {
    taken,
    full,
    refused,  ///< broken or shut down
};

/// The decisions of one process pool.
///
/// Each event appends what must be done now, in order, to `out`. An event that comes late (from a
/// worker that is being killed, for a task that has ended) is expected, and changes nothing.
///
/// @code
/// PoolFsm fsm({.max_workers = 2});
/// PoolActions todo;
/// fsm.submitted({.id = 1}, false, todo);      // SpawnWorker{1}
/// fsm.worker_started(1, pid, todo);
/// fsm.worker_ready(1, todo);                  // SendTask{1, 1}
/// fsm.task_finished(1, 1, run_time, false, todo);
/// fsm.shutdown(false, todo);                  // StopWorker{1}
/// fsm.worker_gone(1, {.exit_code = 0, .signal = {}}, 0, todo);  // PoolFinished
/// @endcode
///
/// Each task that was taken ends once: by `task_finished` or `cancelled` returning true, by
/// `not_sent`, or by FailTask, LoseTask, TimeOutTask or CancelTask. A worker that was told to stop
/// or was killed has no task left here, so its end, however it comes, is no news.
///
/// In two files: pool_fsm.cpp is tasks and workers at work, pool_fsm_end.cpp is their losses and
/// ends.
///
/// @thread_safety Distinct objects: safe. Shared objects: unsafe; the pool's mutex guards one.
/// @python        _ExecutorManagerThread of ProcessPoolExecutor, the part that decides.
class PoolFsm {
public:
    /// @throws std::invalid_argument  if `max_workers` or `window` is 0.
    explicit PoolFsm(const PoolFsmConfig& config);

    /// Takes a task.
    ///
    /// @param task            Its id is greater than every id given before.
    /// @param over_the_bound  Also if there is no room.
    Admission submitted(const PoolTask& task, bool over_the_bound, PoolActions& out);

    /// Takes a task as soon as there is room, after those that wait already: AdmitTask says when,
    /// RefuseTask that it never will be.
    ///
    /// @returns False, and nothing happens, if the pool is broken or shut down.
    bool wait_for_room(const PoolTask& task, PoolActions& out);

    /// Whether a task would be taken now, were it submitted.
    [[nodiscard]] bool has_room() const noexcept;

    /// Drops a task that waits, for a worker or for room.
    ///
    /// @returns False if no such task waits: it was handed over, or has ended.
    bool cancelled(TaskId task, PoolActions& out);

    /// The process of a SpawnWorker runs; it takes no task before `worker_ready`.
    void worker_started(WorkerId worker, std::int64_t pid, PoolActions& out);

    /// The process has come to where workers begin: it has all the time it wants from now on.
    void worker_arrived(WorkerId worker, PoolActions& out);

    /// What the worker has got cannot be taken back: it gets one task at a time.
    void send_nothing_ahead(WorkerId worker);

    /// The worker ran its initializer and waits for tasks.
    void worker_ready(WorkerId worker, PoolActions& out);

    /// The process of a SpawnWorker could not be started.
    ///
    /// The pool goes on with the workers that it has, and tries no more of them at a time; only
    /// when there is none, and a task waits, does it break.
    void spawn_failed(WorkerId worker, std::string_view text, PoolActions& out);

    /// The task of a SendTask was found cancelled, and not sent.
    void not_sent(WorkerId worker, TaskId task, PoolActions& out);

    /// The task, which was sent ahead to the worker, was cancelled: the worker will not begin it.
    ///
    /// @returns False if the worker has no such task.
    bool cancelled_ahead(WorkerId worker, TaskId task, PoolActions& out);

    /// The last `count` tasks of the worker were taken back: it will not begin them.
    void recalled(WorkerId worker, std::size_t count, PoolActions& out);

    /// The worker is done with the task, whatever came of it.
    ///
    /// A task that is not the one which the worker runs is misbehaviour.
    ///
    /// @param outgrown  The worker uses more memory than it should, and is to leave.
    /// @returns True if this is how the task ended; false if it ended before, or never was there.
    bool task_finished(
        WorkerId worker,
        TaskId task,
        std::chrono::nanoseconds run_time,
        bool outgrown,
        PoolActions& out
    );

    /// The worker's process ended and all that it had sent was read.
    ///
    /// @param begun  How many of its tasks it had begun; it ran the last of these.
    void worker_gone(WorkerId worker, const ExitStatus& exit, std::size_t begun, PoolActions& out);

    /// The worker's initializer threw.
    void initializer_failed(WorkerId worker, std::string_view text, PoolActions& out);

    /// The worker sent what no worker of ours sends. It has begun so many of its tasks, and will
    /// begin none of the others.
    void
    worker_misbehaved(WorkerId worker, std::string_view text, std::size_t begun, PoolActions& out);

    /// The time of a SetTimer has come.
    void timer_expired(TimerId timer, PoolActions& out);

    /// Takes no more tasks, and lets the workers leave when those it has are done.
    ///
    /// @param cancel_pending  Cancels the tasks that no worker has begun. May be asked for later
    /// too.
    void shutdown(bool cancel_pending, PoolActions& out);

    /// Shuts down, cancels what waits, fails what runs and ends all workers now.
    ///
    /// @param kill  By a signal that they cannot refuse. May be called again to go further.
    void terminate(bool kill, PoolActions& out);

    [[nodiscard]] bool is_broken() const noexcept { return broken_; }
    [[nodiscard]] bool is_shut_down() const noexcept { return shut_down_; }
    /// Tasks that no worker has got.
    [[nodiscard]] std::size_t queued() const noexcept { return queued_; }
    /// Tasks that workers have got.
    [[nodiscard]] std::size_t handed_over() const noexcept { return handed_over_; }
    /// Tasks that are the first of their worker's: those that run.
    [[nodiscard]] std::size_t running() const noexcept { return busy_; }
    /// Workers not gone, those starting and leaving too.
    [[nodiscard]] std::size_t workers() const noexcept { return workers_.size(); }
    /// Workers that wait for a task.
    [[nodiscard]] std::size_t idle() const noexcept { return idle_.size(); }
    /// How many tasks the worker has.
    [[nodiscard]] std::size_t load(WorkerId worker) const;
    /// Whether this is the first of the worker's tasks, so that an answer for it is no surprise.
    [[nodiscard]] bool runs(WorkerId worker, TaskId task) const;
    /// The worker's tasks, in the order sent; the first one runs.
    [[nodiscard]] std::vector<TaskId> tasks_of(WorkerId worker) const;

    /// Workers that ended although nobody asked them to.
    [[nodiscard]] std::uint64_t worker_deaths() const noexcept { return worker_deaths_; }
    /// Tasks that were begun, and are to be run once more; each time counts.
    [[nodiscard]] std::uint64_t retries() const noexcept { return retries_; }

private:
    struct Worker {
        std::int64_t pid = 0;
        bool started = false;
        bool ready = false;
        bool stopped = false;
        bool killed = false;
        bool kill_by_force = false;
        bool works_alone = false;  // nothing is sent ahead to it
        bool is_to_leave = false;  // when it has no task
        bool stalled = false;      // by its first task: gets no company until that has ended
        std::size_t sent = 0;
        std::deque<PoolTask> tasks{};  // in the order sent: the first one runs
        // Of its coming; then of the first task; then for ending it.
        TimerId deadline = 0;
        TimerId idle_timer = 0;
        TimerId stall_timer = 0;
        TaskId stall_task = 0;      // was the first when the timer was set
        unsigned stall_checks = 0;  // that found it still there

        [[nodiscard]] bool is_leaving() const noexcept { return stopped || killed; }
    };

    enum class TimerUse { start, task, kill, idle, stall, respawn };
    struct Timer {
        TimerUse use;
        WorkerId worker;
    };

    Worker* find(WorkerId id);
    bool take_out(WorkerId id, TaskId task, bool was_sent, PoolActions& out);
    [[nodiscard]] bool can_follow(const Worker& worker, const PoolTask& task) const;
    Worker* least_loaded(const PoolTask& task, WorkerId& id);
    [[nodiscard]] const PoolTask& next_task() const {
        return queue_.begin()->second.begin()->second;
    }
    PoolTask pop_task();
    void push_task(const PoolTask& task);

    void settle(PoolActions& out);
    bool admit(PoolActions& out);
    void dispatch(PoolActions& out);
    void send(WorkerId id, Worker& worker, PoolActions& out);
    void became_free(WorkerId id, Worker& worker, PoolActions& out);
    void stop(WorkerId id, Worker& worker, PoolActions& out);
    void kill(WorkerId id, Worker& worker, bool force, PoolActions& out);
    void withdraw(WorkerId id, Worker& worker, PoolActions& out);
    void requeue(const PoolTask& task, PoolActions& out);
    std::vector<PoolTask> release_tasks(Worker& worker, PoolActions& out);
    void fault(WorkerId id, Blame blame, std::size_t begun, PoolActions& out);
    void lose_worker(Worker& worker, Blame blame, std::size_t begun, PoolActions& out);
    void lose_task(PoolTask task, bool begun, Blame blame, PoolActions& out);
    void died_at_start(const Blame& blame, PoolActions& out);
    void close(bool cancel_pending, PoolActions& out);
    void did_not_come(WorkerId id, Worker& worker, PoolActions& out);
    void task_overran(WorkerId id, Worker& worker, PoolActions& out);
    void head_stalls(WorkerId id, Worker& worker, PoolActions& out);
    void break_pool(Blame blame, PoolActions& out);
    void fail_all(Blame blame, PoolActions& out);
    void kill_all(bool force, PoolActions& out);
    void refuse_waiting(PoolActions& out);

    TimerId
    set_timer(TimerUse use, WorkerId worker, std::chrono::nanoseconds delay, PoolActions& out);
    void clear_timer(TimerId& timer, PoolActions& out);

    const PoolFsmConfig config_;
    std::size_t max_workers_;
    WorkerId next_worker_ = 1;
    std::map<WorkerId, Worker> workers_;
    /// Ready workers without a task; the last one has been so for the shortest time.
    std::vector<WorkerId> idle_;
    /// By priority, then by id: ids grow, so their order is the order of submission.
    std::map<int, std::map<TaskId, PoolTask>, std::greater<>> queue_;
    std::size_t queued_ = 0;
    /// Tasks that wait for room.
    std::map<TaskId, PoolTask> waiting_;
    RunTimes run_times_;
    /// Workers that will take a task as soon as they are ready.
    std::size_t starting_ = 0;
    std::size_t handed_over_ = 0;
    std::size_t busy_ = 0;
    std::unordered_map<TimerId, Timer> timers_;
    TimerId last_timer_ = 0;
    /// Workers that died one after the other before any was ready.
    unsigned deaths_at_start_ = 0;
    TimerId respawn_timer_ = 0;
    std::uint64_t worker_deaths_ = 0;
    std::uint64_t retries_ = 0;
    bool broken_ = false;
    bool shut_down_ = false;
    bool drops_pending_ = false;  // what comes back from a worker is cancelled
    bool finished_ = false;
};

}  // namespace cofutures::process
