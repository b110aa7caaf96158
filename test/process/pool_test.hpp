#pragma once

#include <cofutures/process_pool_executor.hpp>

#include "support/gate.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

/// @file
/// What tests of process pools share. Included once in a program, after BOOST_TEST_MODULE: it holds
/// `main`, which is a worker's as well as the test's.

namespace cofutures::test {

/// Waits until a descriptor is ready; false if that takes too long.
inline bool wait_ready(int descriptor, short events) {
    const auto deadline = std::chrono::steady_clock::now() + generous;
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now()
        );
        pollfd watched{.fd = descriptor, .events = events, .revents = 0};
        const int ready =
            ::poll(&watched, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
        if (ready >= 0) {
            return ready == 1;
        }
        if (errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "poll");
        }
    }
}

/// Waits until a process, a child or not, has ended or is a zombie; false if that takes too long.
inline bool wait_gone(pid_t pid) {
    const int event = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U));
    if (event < 0) {
        return errno == ESRCH;
    }
    const bool gone = wait_ready(event, POLLIN);
    ::close(event);
    return gone;
}

/// Where a task, in its process, finds a ProcessGate.
struct GateName {
    std::string arrivals;
    std::string release;
};

/// A gate that tasks in other processes wait at until this process opens it. It hands them no
/// descriptor: they open its pipes by name.
class ProcessGate {
public:
    ProcessGate() {
        if (::pipe2(arrivals_.data(), O_CLOEXEC) != 0 || ::pipe2(release_.data(), O_CLOEXEC) != 0) {
            throw std::system_error(errno, std::generic_category(), "pipe2");
        }
    }
    ProcessGate(const ProcessGate&) = delete;
    ProcessGate& operator=(const ProcessGate&) = delete;
    ~ProcessGate() {
        for (const int descriptor : {arrivals_[0], arrivals_[1], release_[0], release_[1]}) {
            ::close(descriptor);
        }
    }

    [[nodiscard]] GateName name() const {
        const std::string folder = "/proc/" + std::to_string(::getpid()) + "/fd/";
        return {folder + std::to_string(arrivals_[1]), folder + std::to_string(release_[0])};
    }

    /// Waits until so many more tasks are at the gate.
    void wait_for_arrivals(int count) {
        for (; count > 0; --count) {
            char byte = 0;
            if (!wait_ready(arrivals_[0], POLLIN) || ::read(arrivals_[0], &byte, 1) != 1) {
                throw std::runtime_error("a task did not come to its gate in time");
            }
        }
    }

    /// Whether a task came to the gate that no wait has counted.
    [[nodiscard]] bool has_arrivals() const {
        pollfd watched{.fd = arrivals_[0], .events = POLLIN, .revents = 0};
        return ::poll(&watched, 1, 0) == 1;
    }

    /// Lets all tasks pass, those that come later too.
    void open() {
        if (::write(release_[1], "", 1) != 1) {
            throw std::system_error(errno, std::generic_category(), "write");
        }
    }

private:
    std::array<int, 2> arrivals_{};
    std::array<int, 2> release_{};
};

/// A launcher whose workers neither come to freeze_support() nor end.
inline const std::vector<std::string> never_comes{"sh", "-c", "exec sleep 1000"};

/// In a task: says that it has come to the gate.
inline void arrive(const GateName& gate) {
    const int arrivals = ::open(gate.arrivals.c_str(), O_WRONLY | O_CLOEXEC);
    if (arrivals < 0 || ::write(arrivals, "", 1) != 1) {
        throw std::system_error(errno, std::generic_category(), "a task finds no gate");
    }
    ::close(arrivals);
}

/// In a task: says that it has come, and waits until the gate is open.
inline pid_t pass(const GateName& gate) {
    const int release = ::open(gate.release.c_str(), O_RDONLY | O_CLOEXEC);
    arrive(gate);
    if (!wait_ready(release, POLLIN)) {
        throw std::runtime_error("a task waited in vain at a gate");
    }
    ::close(release);
    return ::getpid();
}

/// What a future ended with, if it is an `E`; fails the test otherwise.
template <class E, class T>
std::optional<E> error_of(const Future<T>& future) {
    try {
        if (const std::exception_ptr error = future.exception(generous)) {
            std::rethrow_exception(error);
        }
        BOOST_ERROR("the future holds a value");
    } catch (const E& error) {
        return error;
    } catch (const std::exception& error) {
        BOOST_ERROR("the future holds another error: " << error.what());
    }
    return std::nullopt;
}

/// What the call throws, if it is an `E`; fails the test otherwise.
template <class E, class Call>
std::optional<E> thrown_by(Call&& call) {
    try {
        std::forward<Call>(call)();
        BOOST_ERROR("nothing was thrown");
    } catch (const E& error) {
        return error;
    } catch (const std::exception& error) {
        BOOST_ERROR("something else was thrown: " << error.what());
    }
    return std::nullopt;
}

/// Checks what ExecutorStats promises at every moment.
inline void check_sum(const ExecutorStats& stats) {
    BOOST_TEST(
        stats.submitted ==
        stats.queued + stats.running + stats.completed + stats.failed + stats.cancelled
    );
}

}  // namespace cofutures::test

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);
    return boost::unit_test::unit_test_main(&init_unit_test, argc, argv);
}
