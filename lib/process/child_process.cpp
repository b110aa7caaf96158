#include "process/child_process.hpp"

#include "process/launch.hpp"
#include "process/system_calls.hpp"

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cofutures::process {

namespace {

using boost::system::error_code;
using boost::system::system_error;

pid_t spawn(const SpawnRequest& request) {
    const SpawnCommand command(request);
    Pipe report = make_pipe(PipeSize::usual);
    ChildSetup setup(request, report.write_end.get());
    error_code error;
    const pid_t pid = launch(command, setup, error);
    if (!error) {
        return pid;
    }
    report.write_end = {};
    SpawnStep step = SpawnStep::fork;
    ssize_t count = -1;
    do {
        count = ::read(report.read_end.get(), &step, sizeof(step));
    } while (count < 0 && errno == EINTR);
    throw system_error(error, describe(step, command.program(), request));
}

// --- reaping -------------------------------------------------------------------------------------

int open_exit_event(pid_t pid) noexcept {
#ifdef SYS_pidfd_open
    return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U));
#else
    return -1;
#endif
}

ExitStatus decode(int status) noexcept {
    ExitStatus result;
    if (WIFEXITED(status)) {
        result.exit_code = WEXITSTATUS(status);
    } else if (WIFSIGNALED(status)) {
        result.signal = WTERMSIG(status);
    }
    return result;
}

}  // namespace

FileDescriptor::~FileDescriptor() {
    if (number_ >= 0) {
        ::close(number_);
    }
}

Pipe make_pipe(PipeSize size) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw system_error(last_error(), "cannot make a pipe");
    }
    std::array<FileDescriptor, 2> owners{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
    for (FileDescriptor& owner : owners) {
        if (owner.get() <= STDERR_FILENO) {
            FileDescriptor higher(::fcntl(owner.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
            if (higher.get() < 0) {
                throw system_error(last_error(), "cannot make a pipe");
            }
            owner = std::move(higher);
        }
    }
    if (size == PipeSize::large) {
        // A system that is near its limit for pipes refuses: so be it.
        constexpr int bytes = 1 << 20;
        ::fcntl(owners[1].get(), F_SETPIPE_SZ, bytes);
    }
    return {std::move(owners[0]), std::move(owners[1])};
}
ChildProcess::ChildProcess(
    const boost::asio::any_io_executor& executor, const SpawnRequest& request
)
    : watch_(std::make_shared<Watch>(executor)) {
    watch_->start(request);
}

ChildProcess::~ChildProcess() {
    if (watch_) {
        watch_->end();
    }
}

ChildProcess::Watch::Watch(const boost::asio::any_io_executor& executor)
    : exit_event(executor), timer(executor) {}

void ChildProcess::Watch::start(const SpawnRequest& request) {
    pid = spawn(request);
    // Without the event the timer does. From here on nothing may throw, for the process runs.
    FileDescriptor event(open_exit_event(pid));
    if (event.get() >= 0) {
        error_code error;
        exit_event.assign(event.get(), error);
        if (!error) {
            event.release();
        }
    }
}

// Whether the process has ended. Only here, and in end(), is it waited for.
bool ChildProcess::Watch::reap() noexcept {
    if (!status) {
        int raw = 0;
        const pid_t result = wait_for(pid, &raw, WNOHANG);
        if (result == pid) {
            status = decode(raw);
        } else if (result < 0) {
            status = ExitStatus{};  // the host program was faster
        }
    }
    return status.has_value();
}

bool ChildProcess::Watch::kill(int signal) noexcept {
    if (reap()) {
        return false;
    }
#ifdef SYS_pidfd_send_signal
    // Means this process even if the host program has just reaped it, and its id is in use again.
    if (exit_event.is_open()) {
        return ::syscall(SYS_pidfd_send_signal, exit_event.native_handle(), signal, nullptr, 0U) ==
               0;
    }
#endif
    return ::kill(pid, signal) == 0;
}

bool ChildProcess::Watch::kill_group(int signal) noexcept {
    return !reap() && ::kill(-pid, signal) == 0;
}

void ChildProcess::Watch::end() noexcept {
    if (kill(SIGKILL)) {
        int raw = 0;
        status = wait_for(pid, &raw, 0) == pid ? decode(raw) : ExitStatus{};
    }
    error_code ignored;
    exit_event.close(ignored);
    try {
        timer.cancel();
    } catch (const system_error&) {  // allowed to by Asio's interface, which has no other one left
        assert(false);
    }
}

}  // namespace cofutures::process
