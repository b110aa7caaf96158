#pragma once

#include <cofutures/error.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/remote_task.hpp>
#include <cofutures/detail/state_base.hpp>

#include "process/pool_fsm.hpp"
#include "process/worker_channel.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <sys/types.h>

namespace cofutures::process {

/// What ProcessPoolExecutor is made of: performs what PoolFsm decides.
///
/// One mutex guards the decisions and the tables; any thread may take it, decide, and write to a
/// worker's pipe itself. One thread, the manager, starts the processes, reads what they send, and
/// notices their end. Futures are ended, and results decoded, after the mutex is free.
///
/// If memory runs out, or the system refuses what it never refuses, in the middle of all this, the
/// pool gives up: it decides nothing any more, every future ends with the cause, every worker is
/// killed.
///
/// Thread-safe. Kept by the executor and by the manager thread.
class ProcessPool final : public detail::TaskSink,
                          public std::enable_shared_from_this<ProcessPool> {
public:
    struct Config {
        std::size_t max_workers;
        WorkerCommand command;
        WorkerOutputHandler on_worker_output{};
    };

    explicit ProcessPool(Config config);
    ProcessPool(const ProcessPool&) = delete;
    ProcessPool& operator=(const ProcessPool&) = delete;
    ~ProcessPool() override;

    /// Takes a pending task. Throws ShutdownError, BrokenProcessPool, SerializationError, or
    /// std::system_error if the manager cannot be started; arguments that fail to be encoded fail
    /// the task's future instead.
    void submit(detail::StatePtr task) override;

    /// As Executor::shutdown().
    void shutdown(bool wait, bool cancel_pending);

    /// Ends all workers, by force or by request.
    void terminate(bool force);

    [[nodiscard]] std::vector<pid_t> worker_pids() const;

    /// Whether the calling thread is this pool's manager.
    [[nodiscard]] bool runs_this_thread() const noexcept override { return current_ == this; }

    [[nodiscard]] bool is_remote() const noexcept override { return true; }
    [[nodiscard]] std::size_t worker_count() const noexcept override { return config_.max_workers; }

private:
    struct Entry {
        detail::StatePtr task{};
        detail::RemoteTask* remote = nullptr;
        std::vector<std::byte> frame{};  // until it is sent

        /// Ends its future, unless it was cancelled.
        void fail(std::exception_ptr error) const noexcept;
    };

    /// What is left to do when the mutex is free again.
    class Afterwork;

    /// How the pool broke, as each of its futures is told by an exception of its own.
    struct Breakage {
        std::string message;
        WorkerExit worker;

        [[nodiscard]] std::exception_ptr make_error() const noexcept;
    };

    template <class Decide>
    bool decide(Decide decide) noexcept;
    void perform(PoolActions& actions, Afterwork& afterwork);
    void perform_send(const SendTask& action, PoolActions& actions, Afterwork& afterwork);
    void perform_break(const BreakPool& action);
    void take_entry(TaskId task, std::vector<Entry>& to);
    void require_open() const;
    void start_manager();
    void give_up() noexcept;

    void run_manager() noexcept;
    void start_worker(WorkerId worker);
    void received(WorkerId worker, FrameReader& reader);
    void handle_frame(WorkerId worker, const Frame& frame);
    void handle_result(WorkerId worker, const Frame& frame);
    void wrote(WorkerOutput output, WorkerId worker);
    void misbehaved(WorkerId worker, const std::string& text);
    void gone(WorkerId worker, const ExitStatus& status);

    static thread_local constinit const ProcessPool* current_;

    const Config config_;
    boost::asio::io_context io_{1};
    std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;

    mutable std::mutex mutex_;  // guards the block that follows
    PoolFsm fsm_;
    TaskId next_task_ = 1;
    std::unordered_map<TaskId, Entry> entries_;
    std::unordered_map<WorkerId, std::shared_ptr<WorkerChannel>> channels_;
    std::shared_ptr<const Breakage> breakage_;
    std::exception_ptr failure_;  // why the pool gave up
    std::thread manager_;

    std::mutex join_mutex_;  // held while the manager is joined; never taken under mutex_
};

}  // namespace cofutures::process
