#include "process/child_process.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/process/v2/posix/default_launcher.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/system/system_error.hpp>
#include <boost/version.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string_view>

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace cofutures::process {
namespace {

using boost::system::error_code;
using boost::system::system_error;

error_code last_error() noexcept {
    return {errno, boost::system::system_category()};
}

pid_t wait_for(pid_t pid, int* status, int flags) noexcept {
    pid_t result = -1;
    do {
        result = ::waitpid(pid, status, flags);
    } while (result < 0 && errno == EINTR);
    return result;
}

// Exit code of a child that could not become the program; a shell's too.
constexpr int not_executed = 127;

// Processors beyond this number are taken for a mistake.
constexpr int most_cpus = 1 << 16;

// --- what is started -----------------------------------------------------------------------------

// Finds a command as execvp does.
std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) {
        return name;
    }
    const char* variable = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe)
    std::string_view rest = variable != nullptr ? variable : "/bin:/usr/bin";
    int error = ENOENT;
    for (bool more = !name.empty(); more;) {
        const std::size_t colon = rest.find(':');
        std::string path(rest.substr(0, colon));
        path += (path.empty() ? "./" : "/") + name;
        struct stat file {};
        if (::stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode)) {
            if (::access(path.c_str(), X_OK) == 0) {
                return path;
            }
            error = EACCES;
        }
        more = colon != std::string_view::npos;
        rest.remove_prefix(more ? colon + 1 : rest.size());
    }
    throw system_error(
        error_code(error, boost::system::system_category()), "cannot find \"" + name + "\" in PATH"
    );
}

// "/proc/self/exe" is another program by the time a launcher runs it: give it a name that lasts.
std::string lasting_name(const std::string& program) {
    if (program != "/proc/self/exe") {
        return program;
    }
    std::array<char, 4096> target{};
    const ssize_t size = ::readlink(program.c_str(), target.data(), target.size());
    if (size > 0 && static_cast<std::size_t>(size) < target.size()) {
        std::string path(target.data(), static_cast<std::size_t>(size));
        struct stat named {};
        struct stat running {};
        if (::stat(path.c_str(), &named) == 0 && ::stat(program.c_str(), &running) == 0 &&
            named.st_dev == running.st_dev && named.st_ino == running.st_ino) {
            return path;
        }
    }
    return "/proc/" + std::to_string(::getpid()) + "/exe";  // replaced or removed since the start
}

void require_no_null(const std::string& word) {
    if (word.find('\0') != std::string::npos) {
        throw std::invalid_argument("a command word or variable holds a null character");
    }
}

void require_sensible(const WorkerLimits& limits) {
    const auto require = [](bool sensible, const char* problem) {
        if (!sensible) {
            throw std::invalid_argument(problem);
        }
    };
    require(limits.address_space != 0U, "address_space must be greater than 0");
    require(
        !limits.cpu_time || limits.cpu_time->count() > 0, "cpu_time must be at least one second"
    );
    require(limits.open_files != 0U, "open_files must be greater than 0");
    for (const int cpu : limits.cpus) {
        require(cpu >= 0 && cpu < most_cpus, "cpus must hold numbers of processors");
    }
}

// Where the child looks for a file that this program calls `path`.
std::string from_here(const std::string& path, const std::string& working_directory) {
    const bool relative = path.find('/') != std::string::npos && path.front() != '/';
    if (!relative || working_directory.empty()) {
        return path;
    }
    const std::unique_ptr<char, decltype(&std::free)> here(::getcwd(nullptr, 0), &std::free);
    if (!here) {
        throw system_error(last_error(), "cannot find out where this program is");
    }
    return std::string(here.get()) + '/' + path;
}

// A command line and an environment in the form that exec takes, made before the fork.
class Command {
public:
    explicit Command(const SpawnRequest& request) {
        require_well_formed(request);
        std::vector<std::string> words = request.launcher;
        words.push_back(from_here(
            words.empty() ? request.program : lasting_name(request.program),
            request.working_directory
        ));
        words.insert(words.end(), request.arguments.begin(), request.arguments.end());
        program_ = from_here(find_program(words.front()), request.working_directory);
        arguments_.assign(words.begin() + 1, words.end());
        add_environment(request);
    }
    // The pointers of the environment point into the object.
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;
    ~Command() = default;

    [[nodiscard]] const std::string& program() const noexcept { return program_; }
    [[nodiscard]] const std::vector<std::string>& arguments() const noexcept { return arguments_; }
    [[nodiscard]] const char* const* environment() const noexcept { return pointers_.data(); }

private:
    void add_environment(const SpawnRequest& request) {
        for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
            variables_.emplace_back(*entry);
        }
        for (const auto& [name, value] : request.environment) {
            const std::string prefix = name + "=";
            std::erase_if(variables_, [&](const std::string& old) {
                return old.starts_with(prefix);
            });
            variables_.push_back(prefix + value);
        }
        for (const std::string& variable : variables_) {
            pointers_.push_back(variable.c_str());
        }
        pointers_.push_back(nullptr);
    }

    std::string program_;
    std::vector<std::string> arguments_;
    std::vector<std::string> variables_;
    std::vector<const char*> pointers_;
};

// --- between fork and exec -----------------------------------------------------------------------

// What a child does before it becomes the new program, in this order.
enum class Step : unsigned char {
    fork,
    group,
    directory,
    streams,
    descriptors,
    nice,
    cpus,
    cpu_time,
    open_files,
    address_space,
    exec,
};

std::string describe(Step step, const Command& command, const SpawnRequest& request) {
    const WorkerLimits& limits = request.limits;
    switch (step) {
    case Step::group:
        return "cannot make a process group";
    case Step::directory:
        return "cannot enter the directory \"" + request.working_directory + "\"";
    case Step::streams:
        return "cannot redirect the standard streams";
    case Step::descriptors:
        return "cannot pass on the descriptors";
    case Step::nice:
        return "cannot change the nice level by " + std::to_string(limits.nice.value_or(0));
    case Step::cpus:
        return "cannot run on the processors that the limits name";
    case Step::cpu_time:
        return "cannot limit the processor time to " +
               std::to_string(limits.cpu_time.value_or(std::chrono::seconds()).count()) +
               " seconds";
    case Step::open_files:
        return "cannot limit the open files to " + std::to_string(limits.open_files.value_or(0));
    case Step::address_space:
        return "cannot limit the address space to " +
               std::to_string(limits.address_space.value_or(0)) + " bytes";
    case Step::exec:
        return "cannot run \"" + command.program() + "\"";
    case Step::fork:
        break;
    }
    return "cannot make a process";
}

// Lets `fork` and the child's first steps happen without any signal, for a handler of the host
// program would run in the child, on what looks like the host's own memory and pipes.
class SignalsBlocked {
public:
    SignalsBlocked() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

// The functions from here to ChildSetup run in the child of a program that may have other threads:
// they call nothing but what is safe in a signal handler, and do not allocate.

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

// Boost.Process calls these hooks; they are templates as its launchers and path types vary.
class ChildSetup {
public:
    ChildSetup(const SpawnRequest& request, int report) : request_(request), report_(report) {
        for (const int cpu : request.limits.cpus) {
            const auto set = static_cast<std::size_t>(cpu) / CPU_SETSIZE;
            cpus_.resize(std::max(cpus_.size(), set + 1));
            CPU_SET(static_cast<std::size_t>(cpu) % CPU_SETSIZE, &cpus_[set]);
        }
    }

    template <class Launcher, class Path>
    error_code on_setup(Launcher& launcher, const Path&, const char* const*&) {
        // Later versions close, between on_exec_setup and exec, whatever is not on this list.
        launcher.fd_whitelist.push_back(report_);
        for (const int fd : request_.keep_open) {
            launcher.fd_whitelist.push_back(fd);
        }
        return {};
    }

    template <class Launcher, class Path>
    error_code on_exec_setup(Launcher&, const Path&, const char* const*&) {
        return prepare() ? error_code() : last_error();
    }

    // Variadic, because the version decides how many arguments there are. Does not return, as the
    // launcher would go on to `exit`, which runs the host program's destructors a second time.
    template <class... Args>
    void on_exec_error(Args&&...) noexcept {
        [[maybe_unused]] const ssize_t written = ::write(report_, &step_, sizeof(step_));
        ::_exit(not_executed);
    }

private:
    // On failure errno says why, and some versions of the launcher look only there.
    bool prepare() noexcept {
        step_ = Step::group;
        if (::setpgid(0, 0) != 0) {
            return false;
        }
        restore_signals();
        step_ = Step::directory;
        if (!request_.working_directory.empty() &&
            ::chdir(request_.working_directory.c_str()) != 0) {
            return false;
        }
        step_ = Step::streams;
        if (!redirect(request_.standard_output, STDOUT_FILENO) ||
            !redirect(request_.standard_error, STDERR_FILENO)) {
            return false;
        }
        step_ = Step::descriptors;
        if (!keep_only(request_.keep_open) || !apply_limits()) {
            return false;
        }
        step_ = Step::exec;
        return true;
    }

    static bool redirect(int from, int to) noexcept { return from < 0 || ::dup2(from, to) == to; }

    // The address space comes last, as nothing after it may need more.
    bool apply_limits() noexcept {
        const WorkerLimits& limits = request_.limits;
        step_ = Step::nice;
        if (limits.nice && !change_nice_level(*limits.nice)) {
            return false;
        }
        step_ = Step::cpus;
        if (!cpus_.empty() &&
            ::sched_setaffinity(0, cpus_.size() * sizeof(cpu_set_t), cpus_.data()) != 0) {
            return false;
        }
        step_ = Step::cpu_time;
        // A second after SIGXCPU, which may be handled, comes SIGKILL.
        if (limits.cpu_time &&
            !limit_to(RLIMIT_CPU, static_cast<rlim_t>(limits.cpu_time->count()), 1)) {
            return false;
        }
        step_ = Step::open_files;
        if (limits.open_files && !limit_to(RLIMIT_NOFILE, *limits.open_files)) {
            return false;
        }
        step_ = Step::address_space;
        return !limits.address_space || limit_to(RLIMIT_AS, *limits.address_space);
    }

    const SpawnRequest& request_;
    int report_;
    std::vector<cpu_set_t> cpus_;  // one set after another is one large set
    Step step_ = Step::fork;
};

// The one use of Boost.Process. Another backend would replace this function, and call the hooks.
//
// The launcher gets an io_context of its own: it tells the context about the fork, in the child
// too, and there it would wait for ever for a lock that another thread held at that moment.
pid_t launch(const Command& command, ChildSetup& setup, error_code& error) {
    namespace bp = boost::process::v2;
    const pid_t parent = ::getpid();
    boost::asio::io_context context(1);
    bp::posix::default_launcher launcher;
    launcher.env = command.environment();
    try {
        // The context gets its own descriptors now: were there none left after the fork, the
        // launcher would lose the one by which it knows the child.
        const boost::asio::posix::stream_descriptor none(context);
        const SignalsBlocked blocked;
        auto process =
            launcher(context.get_executor(), error, command.program(), command.arguments(), setup);
        if (!error) {
            process.detach();
            return launcher.pid;
        }
    } catch (const system_error& thrown) {
        // The context could not be set up anew after the fork: this is the child, and must not go
        // on with what its parent does.
        if (::getpid() != parent) {
            ::_exit(not_executed);
        }
        // The process runs, only the launcher's handle on it failed: it needs one on a system that
        // has none, or the child has ended and this program ignores SIGCHLD.
        if (launcher.pid > 0) {
            error = {};
            return launcher.pid;
        }
        error = thrown.code();
    }
#if BOOST_VERSION < 108800  // from then on the launcher reaps what did not become the program
    if (launcher.pid > 0) {
        wait_for(launcher.pid, nullptr, 0);
    }
#endif
    return -1;
}

pid_t spawn(const SpawnRequest& request) {
    const Command command(request);
    Pipe report = make_pipe(PipeSize::usual);
    ChildSetup setup(request, report.write_end.get());
    error_code error;
    const pid_t pid = launch(command, setup, error);
    if (!error) {
        return pid;
    }
    report.write_end = {};
    Step step = Step::fork;
    ssize_t count = -1;
    do {
        count = ::read(report.read_end.get(), &step, sizeof(step));
    } while (count < 0 && errno == EINTR);
    throw system_error(error, describe(step, command, request));
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

void require_well_formed(const SpawnRequest& request) {
    require_no_null(request.program);
    require_no_null(request.working_directory);
    std::for_each(request.launcher.begin(), request.launcher.end(), require_no_null);
    std::for_each(request.arguments.begin(), request.arguments.end(), require_no_null);
    for (const auto& [name, value] : request.environment) {
        if (name.empty() || name.find('=') != std::string::npos) {
            throw std::invalid_argument("\"" + name + "\" is no name of an environment variable");
        }
        require_no_null(name);
        require_no_null(value);
    }
    require_sensible(request.limits);
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
