#pragma once

#include <cofutures/error.hpp>
#include <cofutures/executor_stats.hpp>
#include <cofutures/future.hpp>
#include <cofutures/observer.hpp>
#include <cofutures/on_full.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/remote_task.hpp>
#include <cofutures/detail/state_base.hpp>

#include "core/fork_count.hpp"
#include "core/task_place.hpp"
#include "process/pool_fsm.hpp"
#include "process/timer_queue.hpp"
#include "process/worker_channel.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

namespace cofutures::process {

class BlockReader;

/// What ProcessPoolExecutor is made of: performs what PoolFsm decides.
///
/// One mutex guards the decisions and the tables; any thread may take it, decide, and write to a
/// worker's pipe itself. The *manager* starts the processes, reads what they send, and notices
/// their end: a thread of the pool's own, or whoever runs the caller's executor, through a strand.
/// Futures are ended, and results decoded, after the mutex is free.
///
/// If memory runs out, or the system refuses what it never refuses, in the middle of all this, the
/// pool gives up: it decides nothing any more, every future ends with the cause, every worker is
/// killed.
///
/// In three files: process_pool.cpp is what callers reach, pool_actions.cpp performs decisions,
/// pool_manager.cpp is the manager's.
///
/// Thread-safe. Kept by the executor, and by the manager as long as there is something to manage.
class ProcessPool final : public detail::TaskSink,
                          public std::enable_shared_from_this<ProcessPool> {
public:
    struct Config {
        PoolFsmConfig decisions{};
        WorkerCommand command{};
        WorkerOutputHandler on_worker_output{};
        OnFull on_full = OnFull::block;
        std::optional<std::uint64_t> max_memory_growth{};
        std::shared_ptr<ExecutorObserver> observer{};
        /// Whose threads are the manager; none for a thread of the pool's own.
        std::optional<boost::asio::any_io_executor> executor{};
        /// Whether the calling thread runs `executor`, as far as that is known.
        std::function<bool()> runs_executor{};
    };

    explicit ProcessPool(Config config);
    ProcessPool(const ProcessPool&) = delete;
    ProcessPool& operator=(const ProcessPool&) = delete;
    ~ProcessPool() override;

    /// Takes a pending task. Throws ShutdownError, BrokenProcessPool, QueueFullError,
    /// SerializationError, or std::system_error if the manager cannot be started; arguments that
    /// fail to be encoded fail the task's future instead.
    void submit(detail::StatePtr task) override;

    /// As submit(), but false if there is no room.
    bool try_submit(detail::StatePtr task);

    /// Takes a pending task as soon as there is room, as ExecutorBase::enqueue_when_room().
    Future<void> submit_when_room(detail::StatePtr task);

    /// As Executor::shutdown().
    void shutdown(bool wait, bool cancel_pending);

    /// As Executor::shutdown_for().
    bool shutdown_until(const detail::Deadline& deadline, bool cancel_pending);
    /// As shutdown(true) of a thread that must not go on before all has run: if it never could,
    /// waits of the pool's callbacks are refused instead of this one. Not inside of those.
    void shutdown_for_good() noexcept;

    /// Shuts down; gives a future that ends when all workers are gone and the manager leaves.
    Future<void> begin_shutdown(bool cancel_pending);

    /// Ends all workers, by force or by request.
    void terminate(bool force);

    [[nodiscard]] ExecutorStats stats() const;
    [[nodiscard]] std::vector<pid_t> worker_pids() const;

    /// Whether the calling thread is the manager, or may be: then it must not wait for it.
    [[nodiscard]] bool runs_this_thread() const noexcept override;

    /// Whether this is the process that made the pool, and not a fork of it: that has neither the
    /// manager nor a claim on the workers. Any other use of the pool there throws
    /// BrokenProcessPool.
    [[nodiscard]] bool is_at_home() const noexcept override { return home_.is_here(); }

    [[nodiscard]] bool has_own_thread() const noexcept { return io_.has_value(); }

    [[nodiscard]] bool is_remote() const noexcept override { return true; }
    [[nodiscard]] std::size_t worker_count() const noexcept override {
        return config_.decisions.max_workers;
    }

private:
    class Afterwork;
    class Ahead;
    class CancelWatch;
    class Presence;

    struct Entry {
        detail::StatePtr task{};
        detail::RemoteTask* remote = nullptr;
        PoolTask traits{};
        std::vector<std::byte> frame{};           // as long as it may have to be sent
        std::unique_ptr<MessageBlocks> blocks{};  // that the frame refers to
        std::uint64_t number = 0;                 // on its worker's channel
        std::int64_t pid = 0;                     // of the worker that has it
        CancelWatch* watch = nullptr;             // of a bounded pool, while the task is pending

        [[nodiscard]] std::string name() const;
        /// Claims the future for its end, unless a worker has it; false if it was cancelled.
        [[nodiscard]] bool claim() const noexcept {
            return task->phase() == detail::Phase::running || task->try_claim();
        }
    };

    /// A task that waits for room.
    struct Waiting {
        Entry entry{};
        Promise<void> taken{};
    };

    /// Why tasks end without a result. Each future is told by an exception of its own.
    struct Loss {
        enum class Kind { broken, worker_died, overran };
        Kind kind = Kind::broken;
        std::string message{};
        WorkerExit worker{};

        [[nodiscard]] std::exception_ptr make_error() const noexcept;
    };

    /// The manager's places in the graph of waits.
    class ManagerPlace final : public detail::TaskPool {
    public:
        explicit ManagerPlace(const ProcessPool& pool) noexcept : pool_(pool) {}
        [[nodiscard]] std::size_t most_workers() const noexcept override { return 1; }
        [[nodiscard]] bool runs_in_place() const noexcept override { return false; }
        [[nodiscard]] bool is_at_home() const noexcept override { return pool_.is_at_home(); }
        [[nodiscard]] bool needs_this_thread() const noexcept override {
            return !pool_.has_own_thread() && pool_.runs_this_thread();
        }
        [[nodiscard]] const char* worker_label() const noexcept override {
            return "a callback of a process pool";
        }
        [[nodiscard]] std::string label() const override { return "a process pool"; }

    private:
        const ProcessPool& pool_;
    };

    enum class WhenFull { go_over, say_so };

    // process_pool.cpp
    Entry prepare(detail::StatePtr task, std::exception_ptr& unencodable);
    bool announce(Entry& entry, WhenFull when_full);
    bool offer(Entry& entry, std::exception_ptr unencodable, WhenFull when_full);
    void fail_unencodable(const Entry& entry, std::exception_ptr error);
    [[nodiscard]] bool has_room() const;
    void require_open() const;
    void check_process() const;
    void make_executor();
    /// A strand must not outlive the caller's context.
    void let_executor_go() noexcept;
    void start();
    /// For what waits on the executor. On the pool's own it must not keep the pool: nobody might
    /// be left to run it.
    [[nodiscard]] std::shared_ptr<ProcessPool> keep() { return io_ ? nullptr : shared_from_this(); }
    [[nodiscard]] Future<void> finished_future() const;
    void finish() noexcept;
    void join_manager() noexcept;
    static void end(Promise<void>& promise, std::exception_ptr error) noexcept;
    void queued(const Entry& entry) const noexcept;
    void dropped(const Entry& entry, TaskOutcome outcome) const noexcept;

    // pool_actions.cpp
    template <class Decide>
    bool decide(Decide decide) noexcept;
    template <class Decide>
    bool decide(Decide decide, Afterwork& afterwork) noexcept;
    void flush_late() noexcept;
    void perform(PoolActions& actions, Afterwork& afterwork);
    void perform_send(const SendTask& action, PoolActions& actions, Afterwork& afterwork);
    void perform_recall(const RecallTasks& action, PoolActions& actions);
    void perform_stop(const StopWorker& action, Afterwork& afterwork);
    void perform_break(const BreakPool& action);
    void perform_end(TaskId task, std::shared_ptr<const Loss> loss, Afterwork& afterwork);
    void perform_requeue(const RequeueTask& action);
    void perform_admit(const AdmitTask& action, Afterwork& afterwork);
    void perform_refuse(const RefuseTask& action, Afterwork& afterwork);
    [[nodiscard]] std::shared_ptr<const Loss> make_loss(const LoseTask& action) const;
    [[nodiscard]] std::shared_ptr<const Loss> make_overrun(TaskId task) const;
    [[nodiscard]] WorkerExit describe(const Blame& blame) const;
    void watch(TaskId id, Entry& entry);
    static void unwatch(Entry& entry) noexcept;
    Entry take_entry(TaskId task);
    void task_cancelled(TaskId task) noexcept;
    void ahead_cancelled(WorkerId worker, TaskId task) noexcept;
    bool hand_over(const SendTask& action, Entry& entry);
    [[nodiscard]] static std::exception_ptr broken_by(const std::exception_ptr& cause) noexcept;
    void give_up() noexcept;
    void give_up(std::exception_ptr cause) noexcept;

    // pool_manager.cpp
    void run_manager() noexcept;
    void leave();
    void end_channels() noexcept;
    void context_gone() noexcept;
    void set_alarm();
    void alarm_rang();
    void start_worker(WorkerId worker);
    void received(WorkerId worker, FrameReader& reader);
    void handle_frames(WorkerId worker, FrameReader& reader);
    void handle_frame(WorkerId worker, const Frame& frame);
    void begin_work(WorkerId worker);
    void handle_result(WorkerId worker, const Frame& frame);
    void pass_over_cancelled(
        WorkerId worker, TaskId answered, PoolActions& actions, Afterwork& afterwork
    );
    void finish(const Entry& entry, const Frame& frame, BlockReader& blocks);
    void wrote(WorkerOutput output);
    void misbehaved(WorkerId worker, const std::string& text);
    void gone(WorkerId worker, const ExitStatus& status);
    [[nodiscard]] std::size_t begun_by(WorkerId worker);
    [[nodiscard]] bool has_outgrown(WorkerId worker);

    struct Connection {
        std::shared_ptr<WorkerChannel> channel{};
        std::shared_ptr<Ahead> ahead{};
        std::int64_t pid = 0;  // as the worker says; behind a launcher not the child's
        bool has_greeted = false;
        bool is_ready = false;
        std::uint64_t first_resident = 0;  // bytes, before its first task
    };

    static thread_local constinit const ProcessPool* current_;

    // Of channels whose workers have something to do; written when what was read is through. The
    // manager's.
    std::vector<std::shared_ptr<WorkerChannel>> to_flush_late_;

    const detail::HomeProcess home_;
    const Config config_;
    std::optional<boost::asio::io_context> io_;  // none with the caller's executor
    // io_'s, or the strand while there is one. Written under mutex_.
    boost::asio::any_io_executor executor_;
    ManagerPlace place_{*this};

    mutable std::mutex mutex_;  // guards the block that follows
    PoolFsm fsm_;
    TaskId next_task_ = 1;
    std::unordered_map<TaskId, Entry> entries_;
    std::unordered_map<TaskId, Waiting> waiting_;
    std::unordered_map<WorkerId, Connection> channels_;
    TimerQueue timers_;
    TimerQueue::Time alarm_ = TimerQueue::Time::max();  // what the alarm is set to
    ExecutorStats books_;                               // of what has ended
    std::shared_ptr<const Loss> breakage_;
    std::exception_ptr failure_;  // why the pool gave up
    bool started_ = false;
    std::weak_ptr<Presence> presence_;
    std::thread manager_;

    Promise<void> finished_;
    std::atomic<bool> is_finished_ = false;

    // On the caller's executor, while the pool stays there.
    mutable std::mutex strand_mutex_;  // guards strand_; innermost
    std::optional<boost::asio::strand<boost::asio::any_io_executor>> strand_;

    std::mutex join_mutex_;  // held while the manager is joined; never taken under mutex_
};

}  // namespace cofutures::process
