#pragma once

#include "process/child_process.hpp"
#include "process/claim_table.hpp"
#include "process/frame.hpp"
#include "process/oom_watch.hpp"
#include "process/output_reader.hpp"
#include "process/result_blocks.hpp"
#include "process/worker_command.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace cofutures::process {

/// One worker process and the pipes to and from it: the I/O of a process pool, without its
/// decisions.
///
/// Frames for the worker may be sent from any thread. The calling thread writes them itself if the
/// pipe has room, so that no other thread has to be woken; what does not fit is written by the
/// thread that runs the executor. Everything else happens on that thread, which must be one at a
/// time: the executor is that of an io_context with one thread, or a strand.
class WorkerChannel : public std::enable_shared_from_this<WorkerChannel> {
public:
    /// What the channel reports, on the executor's thread.
    struct Events {
        /// Frames have arrived: take them from the reader until it has no more. Throwing
        /// SerializationError from it counts as garbage.
        std::function<void(FrameReader&)> received;
        /// The worker has ended, and all that it sent and wrote was reported before. Comes once,
        /// and is the last.
        std::function<void(ExitStatus)> gone;
        /// It wrote a line, without its end, to its standard output or error stream; if the command
        /// says that this is read. What it wrote before it sent a frame comes before `received`.
        std::function<void(bool is_error, std::string_view line)> output{};
    };

    /// Starts the process. Throws boost::system::system_error when that fails.
    static std::shared_ptr<WorkerChannel>
    start(const boost::asio::any_io_executor& executor, const WorkerCommand& command);

    /// Begins to report.
    void listen(Events events);

    /// Takes a whole frame to be written. Writes nothing yet.
    void enqueue(std::vector<std::byte> frame);
    void enqueue(std::span<const std::byte> frame);

    /// Says that a task is to be enqueued. It is not promised before announced().
    ///
    /// @returns  The task's number on this channel.
    /// @thread_safety  With announced() and enqueue(), by one thread at a time.
    std::uint64_t offer_task() noexcept {
        claims_->offer(tasks_ + 1);
        return tasks_ + 1;
    }

    /// Says that the next frame to be enqueued is the task that was offered last.
    void announced() noexcept { ++tasks_; }

    /// What the worker has begun of its tasks. Never null; without memory if that is not known, and
    /// nothing can be taken back.
    [[nodiscard]] const std::shared_ptr<ClaimTable>& claims() const noexcept { return claims_; }

    /// Writes what was enqueued, as far as the pipe takes it at once; the rest follows by itself.
    void flush();

    /// Ends the process and what it has started, by SIGKILL if `force`, else by SIGTERM. On the
    /// executor's thread.
    void kill(bool force) noexcept;

    /// Ends the process, reaps it, and reports nothing more. On the executor's thread.
    void end() noexcept;

    [[nodiscard]] std::int64_t pid() const noexcept { return child_.pid(); }

    /// Where the worker's large results lie; null if in the frames. The executor's thread's.
    [[nodiscard]] ResultMemory* results() noexcept { return results_.get(); }

    WorkerChannel(const WorkerChannel&) = delete;
    WorkerChannel& operator=(const WorkerChannel&) = delete;
    ~WorkerChannel();

private:
    struct Output {
        std::shared_ptr<OutputReader> standard;
        std::shared_ptr<OutputReader> error;
    };

    WorkerChannel(
        boost::asio::readable_pipe from_worker,
        boost::asio::posix::stream_descriptor to_worker,
        std::shared_ptr<ClaimTable> claims,
        ChildProcess child
    );

    bool next_batch();
    void go_on_writing();
    bool write_batch();
    void write_rest();
    void read();
    void received();
    void catch_up_with_output();
    void drain();
    void exited(const ExitStatus& status);
    void report_gone();

    const std::shared_ptr<ClaimTable> claims_;
    std::uint64_t tasks_ = 0;  // of whoever enqueues tasks

    // Used by whoever set writing_.
    boost::asio::posix::stream_descriptor to_worker_;
    std::vector<std::byte> batch_;
    std::size_t written_ = 0;

    std::mutex mutex_;  // guards outbox_ and writing_
    std::vector<std::byte> outbox_;
    bool writing_ = false;

    // The executor's thread's.
    boost::asio::readable_pipe from_worker_;
    ChildProcess child_;
    FrameReader reader_;
    std::unique_ptr<ResultMemory> results_;
    std::optional<Output> output_;
    std::shared_ptr<OomWatch> oom_watch_;
    std::optional<OomWatch::Mark> oom_mark_;
    bool oom_marked_ = false;
    Events events_;
    bool killed_ = false;  // by the pool, by force
    bool at_end_ = false;  // nothing more is read
    bool ended_ = false;   // by end(): nothing more is reported
    std::optional<ExitStatus> exit_;
};

}  // namespace cofutures::process
