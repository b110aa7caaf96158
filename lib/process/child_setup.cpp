#include "process/child_setup.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <span>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace cofutures::process {

namespace {

void restore_signals() noexcept {
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) {
        struct sigaction current {};
        if (::sigaction(signal, nullptr, &current) == 0 && current.sa_handler != SIG_IGN &&
            current.sa_handler != SIG_DFL) {
            ::sigaction(signal, &by_default, nullptr);
        }
    }
    ::sigaction(SIGPIPE, &by_default, nullptr);
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

bool keep_only(std::span<const int> descriptors) noexcept {
    constexpr unsigned first = 3;
    constexpr unsigned close_on_exec = 4;  // CLOSE_RANGE_CLOEXEC, which older headers lack
    if (::syscall(SYS_close_range, first, ~0U, close_on_exec) != 0) {
        // An old kernel. The bound keeps a limit of a thousand million from taking minutes.
        constexpr rlim_t most = 65'536;
        rlimit limit{};
        const rlim_t end =
            ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::min(limit.rlim_cur, most) : most;
        for (int fd = first; fd < static_cast<int>(end); ++fd) {
            ::fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
    }
    return std::all_of(descriptors.begin(), descriptors.end(), [](int fd) {
        return ::fcntl(fd, F_SETFD, 0) == 0;
    });
}

// At most `most`, and no more than is allowed already. What goes beyond the limit by more than
// `grace` meets the harder consequence, if there is one.
bool limit_to(decltype(RLIMIT_AS) resource, rlim_t most, rlim_t grace = 0) noexcept {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0) {
        return false;
    }
    limit.rlim_cur = std::min(limit.rlim_max, most);
    limit.rlim_max = std::min(limit.rlim_max, limit.rlim_cur + grace);
    return ::setrlimit(resource, &limit) == 0;
}

bool change_nice_level(int by) noexcept {
    errno = 0;
    const int now = ::getpriority(PRIO_PROCESS, 0);
    constexpr int span = 40;  // from the least to the most patient: the sum cannot overflow
    return errno == 0 && ::setpriority(PRIO_PROCESS, 0, now + std::clamp(by, -span, span)) == 0;
}

bool redirect(int from, int to) noexcept {
    return from < 0 || ::dup2(from, to) == to;
}

}  // namespace

std::string describe(SpawnStep step, const std::string& program, const SpawnRequest& request) {
    const WorkerLimits& limits = request.limits;
    switch (step) {
    case SpawnStep::group:
        return "cannot make a process group";
    case SpawnStep::directory:
        return "cannot enter the directory \"" + request.working_directory + "\"";
    case SpawnStep::streams:
        return "cannot redirect the standard streams";
    case SpawnStep::descriptors:
        return "cannot pass on the descriptors";
    case SpawnStep::nice:
        return "cannot change the nice level by " + std::to_string(limits.nice.value_or(0));
    case SpawnStep::cpus:
        return "cannot run on the processors that the limits name";
    case SpawnStep::cpu_time:
        return "cannot limit the processor time to " +
               std::to_string(limits.cpu_time.value_or(std::chrono::seconds()).count()) +
               " seconds";
    case SpawnStep::open_files:
        return "cannot limit the open files to " + std::to_string(limits.open_files.value_or(0));
    case SpawnStep::address_space:
        return "cannot limit the address space to " +
               std::to_string(limits.address_space.value_or(0)) + " bytes";
    case SpawnStep::exec:
        return "cannot run \"" + program + "\"";
    case SpawnStep::fork:
        break;
    }
    return "cannot make a process";
}

ChildSetup::ChildSetup(const SpawnRequest& request, int report)
    : request_(request), report_(report) {
    for (const int cpu : request.limits.cpus) {
        const auto set = static_cast<std::size_t>(cpu) / CPU_SETSIZE;
        cpus_.resize(std::max(cpus_.size(), set + 1));
        CPU_SET(static_cast<std::size_t>(cpu) % CPU_SETSIZE, &cpus_[set]);
    }
}

void ChildSetup::fail() noexcept {
    [[maybe_unused]] const ssize_t written = ::write(report_, &step_, sizeof(step_));
    ::_exit(not_executed);
}

bool ChildSetup::prepare() noexcept {
    step_ = SpawnStep::group;
    if (::setpgid(0, 0) != 0) {
        return false;
    }
    restore_signals();
    step_ = SpawnStep::directory;
    if (!request_.working_directory.empty() && ::chdir(request_.working_directory.c_str()) != 0) {
        return false;
    }
    step_ = SpawnStep::streams;
    if (!redirect(request_.standard_output, STDOUT_FILENO) ||
        !redirect(request_.standard_error, STDERR_FILENO)) {
        return false;
    }
    step_ = SpawnStep::descriptors;
    if (!keep_only(request_.keep_open) || !apply_limits()) {
        return false;
    }
    step_ = SpawnStep::exec;
    return true;
}

bool ChildSetup::apply_limits() noexcept {
    const WorkerLimits& limits = request_.limits;
    step_ = SpawnStep::nice;
    if (limits.nice && !change_nice_level(*limits.nice)) {
        return false;
    }
    step_ = SpawnStep::cpus;
    if (!cpus_.empty() &&
        ::sched_setaffinity(0, cpus_.size() * sizeof(cpu_set_t), cpus_.data()) != 0) {
        return false;
    }
    step_ = SpawnStep::cpu_time;
    // A second after SIGXCPU, which may be handled, comes SIGKILL.
    if (limits.cpu_time &&
        !limit_to(RLIMIT_CPU, static_cast<rlim_t>(limits.cpu_time->count()), 1)) {
        return false;
    }
    step_ = SpawnStep::open_files;
    if (limits.open_files && !limit_to(RLIMIT_NOFILE, *limits.open_files)) {
        return false;
    }
    step_ = SpawnStep::address_space;
    return !limits.address_space || limit_to(RLIMIT_AS, *limits.address_space);
}

}  // namespace cofutures::process
