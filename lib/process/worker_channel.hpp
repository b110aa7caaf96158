#pragma once

#include "process/child_process.hpp"
#include "process/frame.hpp"
#include "process/oom_watch.hpp"
#include "process/output_reader.hpp"
#include "process/worker_command.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace cofutures::process {

/// One worker process and the pipes to and from it: the I/O of a process pool, without its
/// decisions.
///
/// Frames for the worker may be sent from any thread. The calling thread writes them itself if the
/// pipe has room, so that no other thread has to be woken; what does not fit is written by the
/// thread that runs the executor. Everything else happens on that thread, which must be one.
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

    /// Writes what was enqueued, as far as the pipe takes it at once; the rest follows by itself.
    void flush();

    /// Ends the process and what it has started, by SIGKILL if `force`, else by SIGTERM. On the
    /// executor's thread.
    void kill(bool force) noexcept;

    /// Ends the process, reaps it, and reports nothing more. On the executor's thread, outside of
    /// the events, when it runs no handlers any more.
    void end() noexcept;

    [[nodiscard]] std::int64_t pid() const noexcept { return child_.pid(); }

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
        boost::asio::writable_pipe to_worker,
        ChildProcess child
    );

    bool next_batch();
    void go_on_writing();
    void write_rest();
    void read();
    void received();
    void catch_up_with_output();
    void drain();
    void exited(const ExitStatus& status);
    void report_gone();

    // Used by whoever set writing_.
    boost::asio::writable_pipe to_worker_;
    std::vector<std::byte> batch_;
    std::size_t written_ = 0;

    std::mutex mutex_;  // guards outbox_ and writing_
    std::vector<std::byte> outbox_;
    bool writing_ = false;

    // The executor's thread's.
    boost::asio::readable_pipe from_worker_;
    ChildProcess child_;
    FrameReader reader_;
    std::optional<Output> output_;
    std::shared_ptr<OomWatch> oom_watch_;
    std::optional<OomWatch::Mark> oom_mark_;
    bool oom_marked_ = false;
    Events events_;
    bool killed_ = false;  // by the pool, by force
    bool at_end_ = false;  // nothing more is read
    std::optional<ExitStatus> exit_;
};

}  // namespace cofutures::process
