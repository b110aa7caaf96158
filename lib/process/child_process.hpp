#pragma once

#include "process/exit_status.hpp"
#include "process/spawn_request.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

/// @file
/// Starting, signalling and reaping one child process, and the pipes to talk to it.

namespace cofutures::process {

/// Owns a file descriptor.
class FileDescriptor {
public:
    FileDescriptor() noexcept = default;
    explicit FileDescriptor(int number) noexcept : number_(number) {}
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    FileDescriptor(FileDescriptor&& other) noexcept : number_(other.release()) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        const FileDescriptor old(std::exchange(number_, other.release()));
        return *this;
    }
    ~FileDescriptor();

    /// The number, or -1.
    [[nodiscard]] int get() const noexcept { return number_; }
    /// Gives the number away, for another owner to close.
    int release() noexcept { return std::exchange(number_, -1); }

private:
    int number_ = -1;
};

/// What is written to one end can be read from the other.
struct Pipe {
    FileDescriptor read_end;
    FileDescriptor write_end;
};

/// How much a pipe shall hold.
enum class PipeSize {
    usual,
    /// Much more, if the system allows it: fewer wake-ups for large messages.
    large,
};

/// Makes a pipe that no other process inherits by accident.
///
/// Both ends close on exec from the first moment on, and neither is a standard stream, not even in
/// a program that has closed those.
///
/// @throws boost::system::system_error  if there are no descriptors left.
[[nodiscard]] Pipe make_pipe(PipeSize size = PipeSize::large);

/// A child process.
///
/// It leads a process group of its own, so that a signal from the terminal does not reach it; no
/// signal is blocked in it, and SIGPIPE is not ignored.
///
/// @code
/// Pipe pipe = make_pipe();
/// ChildProcess child(
///     executor, {.arguments = {"--answer-to", std::to_string(pipe.write_end.get())},
///                .keep_open = {pipe.write_end.get()}});
/// child.async_wait([](boost::system::error_code, ExitStatus status) { ... });
/// @endcode
///
/// The program's signal dispositions are left alone, SIGCHLD's too. A program that ignores SIGCHLD,
/// or waits for any child of its own accord, may take the status first: it is unknown then, but the
/// end is still noticed.
///
/// Destroying the object ends the process by SIGKILL if it still runs, reaps it, and aborts waits.
///
/// @thread_safety Distinct objects: safe, starting and destroying too. Shared objects: unsafe, and
///                handlers on `executor` count as users: let it be the strand of the owner.
class ChildProcess {
public:
    /// Starts the process. Blocks until the program in it runs, which takes about a millisecond,
    /// and longer in a program that uses much memory.
    ///
    /// @throws boost::system::system_error  if it cannot be started; the text says which step
    ///                                      failed.
    /// @throws std::invalid_argument        as require_well_formed().
    ChildProcess(const boost::asio::any_io_executor& executor, const SpawnRequest& request);
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;
    ChildProcess(ChildProcess&& other) noexcept = default;
    ChildProcess& operator=(ChildProcess&& other) noexcept {
        ChildProcess old(std::move(other));
        watch_.swap(old.watch_);
        return *this;
    }
    ~ChildProcess();

    /// Its process id, which is that of its process group too.
    [[nodiscard]] pid_t pid() const noexcept { return watch_->pid; }

    /// Sends a signal to the process, or to its group: it, and what it has started.
    ///
    /// @returns False if the process has ended, and its id may be another's, or refuses the signal.
    bool kill(int signal) noexcept { return watch_->kill(signal); }
    bool kill_group(int signal) noexcept { return watch_->kill_group(signal); }

    /// Waits until the process has ended, and reaps it.
    ///
    /// @param token  void(boost::system::error_code, ExitStatus); the error is operation_aborted,
    /// when
    ///               the wait was cancelled or the object destroyed, or none.
    /// @executor     The handler's, by default the one given to the constructor; never inside the
    /// call.
    template <boost::asio::completion_token_for<void(boost::system::error_code, ExitStatus)> Token>
    auto async_wait(Token&& token) {
        return boost::asio::async_compose<Token, void(boost::system::error_code, ExitStatus)>(
            WaitOp{watch_}, token, watch_->timer
        );
    }

private:
    // Outlives the object while a wait is under way.
    struct Watch {
        explicit Watch(const boost::asio::any_io_executor& executor);

        void start(const SpawnRequest& request);
        bool reap() noexcept;
        bool kill(int signal) noexcept;
        bool kill_group(int signal) noexcept;
        void end() noexcept;

        /// Becomes readable when the process ends. Not open where the system has no such thing.
        boost::asio::posix::stream_descriptor exit_event;
        boost::asio::steady_timer timer;
        pid_t pid = -1;
        std::optional<ExitStatus> status{};
    };

    struct WaitOp {
        std::shared_ptr<Watch> watch;
        enum { starting, waiting, polling } state = starting;

        template <class Self>
        void operator()(Self& self, boost::system::error_code error = {}) {
            Watch& w = *watch;
            if (error) {
                self.complete(error, ExitStatus{});
            } else if (w.reap()) {
                if (std::exchange(state, polling) == starting) {
                    boost::asio::post(w.timer.get_executor(), std::move(self));
                } else {
                    self.complete({}, *w.status);
                }
            } else if (state == starting && w.exit_event.is_open()) {
                state = waiting;
                w.exit_event.async_wait(
                    boost::asio::posix::stream_descriptor::wait_read, std::move(self)
                );
            } else {
                // Also when the event came and the process is not to be reaped yet, which a
                // debugger can bring about: the event would come again at once, and for ever.
                state = polling;
                w.timer.expires_after(poll_interval);
                w.timer.async_wait(std::move(self));
            }
        }
    };

    static constexpr std::chrono::milliseconds poll_interval{20};

    std::shared_ptr<Watch> watch_;
};

}  // namespace cofutures::process
