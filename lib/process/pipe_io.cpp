#include "process/pipe_io.hpp"

#include "process/system_calls.hpp"

#include <boost/system/system_category.hpp>

#include <cerrno>
#include <ctime>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace cofutures::process {

namespace {

// Keeps SIGPIPE from the calling thread for a while, and leaves mask and dispositions as they were.
class SigpipeGuard {
public:
    SigpipeGuard() noexcept {
        sigemptyset(&sigpipe_);
        sigaddset(&sigpipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &sigpipe_, &old_mask_);
        was_blocked_ = sigismember(&old_mask_, SIGPIPE) == 1;
        if (was_blocked_) {  // else it cannot be pending
            sigset_t pending;
            sigpending(&pending);
            was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        }
    }
    SigpipeGuard(const SigpipeGuard&) = delete;
    SigpipeGuard& operator=(const SigpipeGuard&) = delete;
    ~SigpipeGuard() {
        if (!was_blocked_) {
            pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
        }
    }

    // Takes the signal that came with a failed write; one that was pending before is not ours.
    void swallow() noexcept {
        const timespec now{};
        while (!was_pending_ && sigtimedwait(&sigpipe_, nullptr, &now) == -1 && errno == EINTR) {
        }
    }

private:
    sigset_t sigpipe_{};
    sigset_t old_mask_{};
    bool was_blocked_ = false;
    bool was_pending_ = false;
};

}  // namespace

void set_non_blocking(int descriptor, boost::system::error_code& error) noexcept {
    const int flags = fcntl(descriptor, F_GETFL);
    if (flags == -1 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == -1) {
        error = last_error();
    } else {
        error.clear();
    }
}

std::size_t write_now(
    int descriptor, std::span<const std::byte> bytes, boost::system::error_code& error
) noexcept {
    SigpipeGuard guard;
    std::size_t written = 0;
    error.clear();
    while (written < bytes.size()) {
        const ssize_t size = ::write(descriptor, bytes.data() + written, bytes.size() - written);
        if (size >= 0) {
            written += static_cast<std::size_t>(size);
        } else if (errno != EINTR) {
            error = last_error();
            if (errno == EPIPE) {
                guard.swallow();
            }
            break;
        }
    }
    return written;
}

std::size_t
read_now(int descriptor, std::span<std::byte> room, boost::system::error_code& error) noexcept {
    for (;;) {
        const ssize_t size = ::read(descriptor, room.data(), room.size());
        if (size >= 0) {
            error.clear();
            return static_cast<std::size_t>(size);
        }
        if (errno != EINTR) {
            error = last_error();
            return 0;
        }
    }
}

std::size_t readable_now(int descriptor) noexcept {
    int size = 0;
    return ::ioctl(descriptor, FIONREAD, &size) == 0 ? static_cast<std::size_t>(size) : 0;
}

AllSignalsBlocked::AllSignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
}

AllSignalsBlocked::~AllSignalsBlocked() {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace cofutures::process
