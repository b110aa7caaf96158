#include "process/child_process.hpp"

#define BOOST_TEST_MODULE child_process
#define BOOST_TEST_NO_MAIN
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include "support/sanitizer.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace cofutures::process;
using boost::system::error_code;
using cofutures::WorkerLimits;
namespace asio = boost::asio;

// --- the child -----------------------------------------------------------------------------------

namespace {

std::vector<int> open_descriptors() {
    std::vector<int> result;
    for (int fd = 0; fd < 1024; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) {
            result.push_back(fd);
        }
    }
    return result;
}

void write_text(int fd, const std::string& text) {
    if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        ::_exit(99);
    }
}

std::string read_to_end(int fd) {
    std::string text;
    std::array<char, 256> buffer{};
    for (;;) {
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count == 0) {
            return text;
        }
        if (count > 0) {
            text.append(buffer.data(), static_cast<std::size_t>(count));
        } else if (errno != EINTR) {
            return text + " (unreadable)";
        }
    }
}

std::string signal_state() {
    sigset_t blocked;
    ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
    struct sigaction pipe {};
    ::sigaction(SIGPIPE, nullptr, &pipe);
    struct sigaction winch {};
    ::sigaction(SIGWINCH, nullptr, &winch);
    return std::string("blocked ") + (::sigismember(&blocked, SIGUSR1) == 1 ? "yes" : "no") +
           ", pipe " + (pipe.sa_handler == SIG_DFL ? "default" : "changed") + ", winch " +
           (winch.sa_handler == SIG_IGN ? "ignored" : "changed");
}

std::string limit_text(decltype(RLIMIT_AS) resource) {
    rlimit limit{};
    ::getrlimit(resource, &limit);
    return std::to_string(limit.rlim_cur) + '/' + std::to_string(limit.rlim_max);
}

int first_cpu() {
    cpu_set_t set;
    ::sched_getaffinity(0, sizeof(set), &set);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set)) {
        ++cpu;
    }
    return cpu;
}

void start_grandchild_that_holds(int in) {
    if (::fork() == 0) {
        read_to_end(in);
        ::_exit(0);
    }
}

std::string pipe_made_without_standard_streams() {
    ::close(0);
    ::close(1);
    ::close(2);
    const Pipe pipe = make_pipe();
    return pipe.read_end.get() > 2 && pipe.write_end.get() > 2 ? "above" : "below";
}

std::string spawn_after_own_removal() {
    std::filesystem::remove(std::filesystem::read_symlink("/proc/self/exe"));
    asio::io_context context;
    std::string result;
    for (const std::vector<std::string>& launcher : {std::vector<std::string>{}, {"env"}}) {
        ChildProcess child(
            context.get_executor(), {.arguments = {"child", "exit7"}, .launcher = launcher}
        );
        child.async_wait([&](error_code, ExitStatus status) {
            result += std::to_string(status.exit_code.value_or(-1));
        });
        context.restart();
        context.run();
    }
    return result;
}

// Makes this process see a kernel without close_range and pidfd.
void pretend_old_kernel() {
    std::vector<sock_filter> program{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const int call : {SYS_close_range, SYS_pidfd_open, SYS_pidfd_send_signal}) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        ::_exit(98);
    }
}

std::string spawn_on_old_kernel() {
    pretend_old_kernel();
    const FileDescriptor inheritable(::open("/dev/null", O_RDONLY));
    asio::io_context context;
    Pipe down = make_pipe();
    Pipe up = make_pipe();
    ChildProcess child(
        context.get_executor(),
        {.arguments =
             {"child",
              "descriptors-until-eof",
              std::to_string(down.read_end.get()),
              std::to_string(up.write_end.get())},
         .keep_open = {down.read_end.get(), up.write_end.get()}}
    );
    std::string result(1, '?');
    if (::read(up.read_end.get(), result.data(), 1) != 1 || !child.kill(SIGKILL)) {
        return "failed";
    }
    child.async_wait([&](error_code, ExitStatus status) {
        result += " descriptors, signal " + std::to_string(status.signal.value_or(0));
    });
    context.run();
    return result;
}

// argv: program, "child", mode, in, out, words...
int run_child(std::vector<std::string> words) {
    const std::string mode = words.at(2);
    const int in = words.size() > 3 ? std::stoi(words[3]) : -1;
    const int out = words.size() > 4 ? std::stoi(words[4]) : -1;
    const std::map<std::string, std::string (*)()> reports{
        {"descriptors",
         [] {
             return std::to_string(open_descriptors().size());
         }},
        {"group",
         [] {
             return std::string(::getpgrp() == ::getpid() ? "own" : "inherited");
         }},
        {"signals", signal_state},
        {"directory",
         [] {
             return std::filesystem::current_path().string();
         }},
        {"nice",
         [] {
             return std::to_string(::getpriority(PRIO_PROCESS, 0));
         }},
        {"limits",
         [] {
             return limit_text(RLIMIT_AS) + ' ' + limit_text(RLIMIT_CPU) + ' ' +
                    limit_text(RLIMIT_NOFILE);
         }},
        {"cpus",
         [] {
             cpu_set_t set;
             ::sched_getaffinity(0, sizeof(set), &set);
             return std::to_string(CPU_COUNT(&set)) + " with " +
                    (CPU_ISSET(first_cpu(), &set) ? "it" : "another");
         }},
        {"low-pipe", pipe_made_without_standard_streams},
        {"removal", spawn_after_own_removal},
        {"old-kernel", spawn_on_old_kernel},
    };
    if (const auto report = reports.find(mode); report != reports.end()) {
        write_text(out, report->second());
        return 0;
    }
    if (mode == "exit7") {
        return 7;
    }
    if (mode == "kill") {
        ::kill(::getpid(), SIGKILL);
    } else if (mode == "words") {
        for (std::size_t i = 5; i < words.size(); ++i) {
            write_text(out, "[" + words[i] + "]");
        }
    } else if (mode == "streams") {
        write_text(STDOUT_FILENO, "to stdout");
        write_text(STDERR_FILENO, "to stderr");
    } else if (mode == "variables") {
        for (std::size_t i = 5; i < words.size(); ++i) {
            const char* value = std::getenv(words[i].c_str());
            write_text(out, "[" + std::string(value != nullptr ? value : "(unset)") + "]");
        }
    } else if (mode == "descriptors-until-eof") {
        write_text(out, std::to_string(open_descriptors().size()));
        read_to_end(in);
    } else if (mode == "until-eof" || mode == "family") {
        if (mode == "family") {
            start_grandchild_that_holds(in);
        }
        write_text(out, "up");
        read_to_end(in);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv, argv + argc);
    if (words.size() > 2 && words[1] == "child") {
        return run_child(words);
    }
    return boost::unit_test::unit_test_main(&init_unit_test, argc, argv);
}

// --- the parent ----------------------------------------------------------------------------------

namespace {

constexpr std::chrono::seconds patience{30};

// What every case must leave as it was.
struct CleanProcess {
    CleanProcess() : descriptors(open_descriptors()) {}
    ~CleanProcess() {
        errno = 0;
        BOOST_TEST(::waitpid(-1, nullptr, WNOHANG) == -1);
        BOOST_TEST(errno == ECHILD);
        BOOST_TEST(open_descriptors() == descriptors, boost::test_tools::per_element());
    }

    std::vector<int> descriptors;
};

// The limit under which so many numbers are left for new descriptors.
rlim_t limit_with_room(const std::vector<int>& taken, int room) {
    int limit = 0;
    for (int free = 0; free < room; ++limit) {
        free += std::ranges::count(taken, limit) == 0 ? 1 : 0;
    }
    return static_cast<rlim_t>(limit);
}

ExitStatus wait_for_end(asio::io_context& context, ChildProcess& child) {
    ExitStatus result;
    bool called = false;
    child.async_wait([&](error_code error, ExitStatus status) {
        BOOST_TEST(!error);
        result = status;
        called = true;
    });
    BOOST_TEST(!called);
    context.restart();
    context.run_for(patience);
    BOOST_TEST(called);
    return result;
}

// A child with a pipe in each direction.
struct Talker {
    Talker(asio::io_context& context, std::string mode, SpawnRequest request = {})
        : Talker(context, std::move(mode), std::move(request), make_pipe(), make_pipe()) {}

    std::string read_all() { return read_to_end(from_child.get()); }
    std::string read_some() {
        std::array<char, 2> text{};
        BOOST_TEST(::read(from_child.get(), text.data(), text.size()) == 2);
        return {text.data(), text.size()};
    }

    FileDescriptor to_child;
    FileDescriptor from_child;
    ChildProcess child;

private:
    Talker(asio::io_context& context, std::string mode, SpawnRequest request, Pipe down, Pipe up)
        : to_child(std::move(down.write_end)),
          from_child(std::move(up.read_end)),
          child(context.get_executor(), complete(std::move(mode), std::move(request), down, up)) {}

    static SpawnRequest complete(std::string mode, SpawnRequest request, Pipe& down, Pipe& up) {
        std::vector<std::string> words{
            "child",
            std::move(mode),
            std::to_string(down.read_end.get()),
            std::to_string(up.write_end.get())};
        request.arguments.insert(request.arguments.begin(), words.begin(), words.end());
        request.keep_open = {down.read_end.get(), up.write_end.get()};
        return request;
    }
};

std::string report(std::string mode, SpawnRequest request = {}) {
    asio::io_context context;
    Talker talker(context, std::move(mode), std::move(request));
    std::string text = talker.read_all();
    BOOST_TEST((wait_for_end(context, talker.child) == ExitStatus{.exit_code = 0, .signal = {}}));
    return text;
}

// The text and the code of the error that starting gives.
struct Failure {
    std::string text;
    error_code code;
};

Failure failure_of(const SpawnRequest& request) {
    asio::io_context context;
    try {
        const ChildProcess child(context.get_executor(), request);
    } catch (const boost::system::system_error& error) {
        return {error.what(), error.code()};
    }
    return {"(started)", {}};
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// Written to by the destructor of a static object, if that runs in a process other than this.
int witness_of_exit = -1;
struct ExitWitness {
    const pid_t owner = ::getpid();
    ExitWitness() = default;
    ExitWitness(const ExitWitness&) = delete;
    ExitWitness& operator=(const ExitWitness&) = delete;
    ~ExitWitness() {
        if (::getpid() != owner && witness_of_exit >= 0) {
            write_text(witness_of_exit, "ran");
        }
    }
} const exit_witness;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(child_process, CleanProcess)

BOOST_AUTO_TEST_CASE(a_child_has_the_standard_descriptors_and_those_kept_open_no_others) {
    FileDescriptor inheritable(::open("/dev/null", O_RDONLY));  // NOLINT: what hosts do
    BOOST_TEST(report("descriptors") == "5");
    BOOST_TEST(::fcntl(inheritable.get(), F_GETFD) == 0);
}

BOOST_AUTO_TEST_CASE(a_child_sees_the_end_of_its_pipe_although_its_siblings_live) {
    asio::io_context context;
    std::vector<Talker> talkers;
    for (int i = 0; i < 6; ++i) {
        talkers.emplace_back(context, "until-eof");
    }
    for (Talker& talker : talkers) {
        talker.to_child = {};
        BOOST_TEST(talker.read_all() == "up");
        BOOST_TEST((wait_for_end(context, talker.child).exit_code == 0));
    }
}

BOOST_AUTO_TEST_CASE(an_exit_code_and_a_signal_are_told_apart) {
    asio::io_context context;
    ChildProcess exits(context.get_executor(), {.arguments = {"child", "exit7"}});
    BOOST_TEST((wait_for_end(context, exits) == ExitStatus{.exit_code = 7, .signal = {}}));
    ChildProcess dies(context.get_executor(), {.arguments = {"child", "kill"}});
    BOOST_TEST((wait_for_end(context, dies) == ExitStatus{.exit_code = {}, .signal = SIGKILL}));
}

BOOST_AUTO_TEST_CASE(the_end_can_be_waited_for_again_after_it) {
    asio::io_context context;
    ChildProcess child(context.get_executor(), {.arguments = {"child", "exit7"}});
    BOOST_TEST((wait_for_end(context, child).exit_code == 7));
    BOOST_TEST((wait_for_end(context, child).exit_code == 7));
}

BOOST_AUTO_TEST_CASE(the_end_is_noticed_when_the_host_program_ignores_sigchld) {
    const auto before = std::signal(SIGCHLD, SIG_IGN);
    asio::io_context context;
    ChildProcess child(context.get_executor(), {.arguments = {"child", "exit7"}});
    BOOST_TEST((wait_for_end(context, child) == ExitStatus{}));
    BOOST_TEST(!child.kill(SIGKILL));
    std::signal(SIGCHLD, before);
}

// The child of this case does the test, as there is no way back from an old kernel.
BOOST_AUTO_TEST_CASE(an_old_kernel_does) {
    BOOST_TEST(report("old-kernel") == "5 descriptors, signal 9");
}

BOOST_AUTO_TEST_CASE(a_program_that_is_not_there_is_an_error_that_names_it) {
    const Failure failure = failure_of({.program = "/does/not/exist"});
    BOOST_TEST((failure.code == boost::system::errc::no_such_file_or_directory));
    BOOST_TEST(contains(failure.text, "cannot run \"/does/not/exist\""));
    BOOST_TEST(contains(failure.text, "No such file"));
}

BOOST_AUTO_TEST_CASE(a_program_that_is_no_program_is_an_error) {
    const Failure failure = failure_of({.program = "/etc/passwd"});
    BOOST_TEST((failure.code == boost::system::errc::permission_denied));
    BOOST_TEST(contains(failure.text, "cannot run"));
}

BOOST_AUTO_TEST_CASE(a_launcher_that_path_does_not_have_is_an_error_that_names_it) {
    const Failure failure = failure_of({.launcher = {"no-such-launcher"}});
    BOOST_TEST((failure.code == boost::system::errc::no_such_file_or_directory));
    BOOST_TEST(contains(failure.text, "cannot find \"no-such-launcher\" in PATH"));
}

BOOST_AUTO_TEST_CASE(a_missing_working_directory_is_an_error_that_names_it) {
    const Failure failure = failure_of({.working_directory = "/does/not/exist"});
    BOOST_TEST((failure.code == boost::system::errc::no_such_file_or_directory));
    BOOST_TEST(contains(failure.text, "cannot enter the directory \"/does/not/exist\""));
}

BOOST_AUTO_TEST_CASE(a_descriptor_that_is_not_open_is_an_error) {
    const Failure failure = failure_of({.keep_open = {987}});
    BOOST_TEST((failure.code == boost::system::errc::bad_file_descriptor));
    BOOST_TEST(contains(failure.text, "cannot pass on the descriptors"));
}

BOOST_AUTO_TEST_CASE(words_that_exec_cannot_pass_are_refused) {
    using namespace std::string_literals;
    asio::io_context context;
    for (const SpawnRequest& request : std::vector<SpawnRequest>{
             {.arguments = {"a\0b"s}},
             {.environment = {{"", "value"}}},
             {.environment = {{"A=B", "value"}}},
             {.environment = {{"A", "b\0c"s}}}}) {
        BOOST_CHECK_THROW(ChildProcess(context.get_executor(), request), std::invalid_argument);
    }
}

// Not under a sanitizer, which reads memory through pipes of its own.
BOOST_AUTO_TEST_CASE(
    a_start_that_runs_out_of_descriptors_at_any_point_loses_none,
    *boost::unit_test::enable_if<!cofutures::test::sanitized>()
) {
    asio::io_context context;
    const SpawnRequest request{.arguments = {"child", "exit7"}};
    ChildProcess first(context.get_executor(), request);
    wait_for_end(context, first);  // now the context has all that it needs
    const std::vector<int> before = open_descriptors();
    rlimit allowed{};
    ::getrlimit(RLIMIT_NOFILE, &allowed);
    int failures = 0;
    constexpr int most = 16;
    for (int room = 0; room < most; ++room) {
        const rlimit limit{.rlim_cur = limit_with_room(before, room), .rlim_max = allowed.rlim_max};
        std::optional<ChildProcess> child;
        ::setrlimit(RLIMIT_NOFILE, &limit);
        try {
            child.emplace(context.get_executor(), request);
        } catch (const boost::system::system_error& error) {
            BOOST_TEST((error.code() == boost::system::errc::too_many_files_open));
            ++failures;
        }
        ::setrlimit(RLIMIT_NOFILE, &allowed);
        if (child) {
            BOOST_TEST((wait_for_end(context, *child).exit_code == 7));
            child.reset();
        }
        BOOST_TEST(open_descriptors() == before, boost::test_tools::per_element());
    }
    BOOST_TEST(failures > 0);
    BOOST_TEST(failures < most);
}

BOOST_AUTO_TEST_CASE(a_failed_start_does_not_run_the_exit_handlers_of_this_program) {
    Pipe pipe = make_pipe();
    witness_of_exit = pipe.write_end.get();
    failure_of({.program = "/does/not/exist"});
    failure_of({.working_directory = "/does/not/exist"});
    witness_of_exit = -1;
    pipe.write_end = {};
    BOOST_TEST(read_to_end(pipe.read_end.get()) == "");
}

BOOST_AUTO_TEST_CASE(a_child_leads_a_process_group) {
    BOOST_TEST(report("group") == "own");
}

BOOST_AUTO_TEST_CASE(a_child_starts_with_no_signal_blocked_and_sigpipe_by_default) {
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const auto pipe_before = std::signal(SIGPIPE, SIG_IGN);
    const auto winch_before = std::signal(SIGWINCH, SIG_IGN);
    BOOST_TEST(report("signals") == "blocked no, pipe default, winch ignored");
    std::signal(SIGPIPE, pipe_before);
    std::signal(SIGWINCH, winch_before);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

BOOST_AUTO_TEST_CASE(the_signal_state_of_this_program_is_left_alone) {
    const auto state = [] {
        std::vector<void (*)(int)> handlers;
        sigset_t blocked;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
        for (int signal = 1; signal < NSIG; ++signal) {
            struct sigaction current {};
            ::sigaction(signal, nullptr, &current);
            handlers.push_back(current.sa_handler);
            handlers.push_back(::sigismember(&blocked, signal) == 1 ? SIG_IGN : SIG_DFL);
        }
        return handlers;
    };
    const auto usr2_before = std::signal(SIGUSR2, [](int) {});
    const auto before = state();
    BOOST_TEST(report("group") == "own");
    failure_of({.program = "/does/not/exist"});
    BOOST_TEST((state() == before));
    std::signal(SIGUSR2, usr2_before);
}

BOOST_AUTO_TEST_CASE(launcher_words_come_before_the_program) {
    BOOST_TEST(
        report("variables", {.arguments = {"COFUTURES_A"}, .launcher = {"env", "COFUTURES_A=1"}}) ==
        "[1]"
    );
    constexpr int nicest = 19;
    const int expected = std::min(::getpriority(PRIO_PROCESS, 0) + 3, nicest);
    BOOST_TEST(report("nice", {.launcher = {"nice", "-n", "3"}}) == std::to_string(expected));
}

BOOST_AUTO_TEST_CASE(a_program_that_was_removed_can_still_start_itself) {
    const auto copy =
        std::filesystem::temp_directory_path() / ("cofutures-child-" + std::to_string(::getpid()));
    std::filesystem::copy_file("/proc/self/exe", copy);
    BOOST_TEST(report("removal", {.program = copy.string()}) == "77");
    BOOST_TEST(!std::filesystem::exists(copy));
}

BOOST_AUTO_TEST_CASE(arguments_arrive_word_for_word) {
    BOOST_TEST(
        report("words", {.arguments = {"", "two words", "\"quoted\"", "$HOME"}}) ==
        "[][two words][\"quoted\"][$HOME]"
    );
}

BOOST_AUTO_TEST_CASE(environment_entries_are_added_or_replace_what_is_there) {
    ::setenv("COFUTURES_A", "old", 1);
    ::setenv("COFUTURES_B", "kept", 1);
    BOOST_TEST(
        report(
            "variables",
            {.arguments = {"COFUTURES_A", "COFUTURES_B", "COFUTURES_C"},
             .environment = {{"COFUTURES_A", "new"}, {"COFUTURES_C", "x=y"}}}
        ) == "[new][kept][x=y]"
    );
    BOOST_TEST(std::string(std::getenv("COFUTURES_A")) == "old");
    ::unsetenv("COFUTURES_A");
    ::unsetenv("COFUTURES_B");
}

BOOST_AUTO_TEST_CASE(a_child_starts_in_the_working_directory_asked_for) {
    BOOST_TEST(report("directory", {.working_directory = "/"}) == "/");
    BOOST_TEST(report("directory") == std::filesystem::current_path().string());
}

BOOST_AUTO_TEST_CASE(a_relative_program_is_found_from_here_and_not_from_the_working_directory) {
    const auto program = std::filesystem::read_symlink("/proc/self/exe");
    const auto relative = "./" + std::filesystem::relative(program).string();
    BOOST_TEST(report("directory", {.program = relative, .working_directory = "/"}) == "/");
    BOOST_TEST(
        report("directory", {.program = relative, .launcher = {"env"}, .working_directory = "/"}) ==
        "/"
    );
}

BOOST_AUTO_TEST_CASE(standard_streams_can_lead_elsewhere) {
    asio::io_context context;
    Pipe output = make_pipe();
    Pipe errors = make_pipe();
    Talker talker(
        context,
        "streams",
        {.standard_output = output.write_end.get(), .standard_error = errors.write_end.get()}
    );
    output.write_end = {};
    errors.write_end = {};
    BOOST_TEST(read_to_end(output.read_end.get()) == "to stdout");
    BOOST_TEST(read_to_end(errors.read_end.get()) == "to stderr");
    wait_for_end(context, talker.child);
}

// --- limits --------------------------------------------------------------------------------------

// The program behind a launcher too: they are set before either begins.
const std::vector<std::vector<std::string>> launchers{{}, {"env"}};

BOOST_AUTO_TEST_CASE(
    limits_hold_from_the_first_moment, *boost::unit_test::enable_if<!cofutures::test::sanitized>()
) {
    for (const auto& launcher : launchers) {
        const std::string limits = report(
            "limits",
            {.launcher = launcher,
             .limits =
                 {.address_space = 4'000'000'000,
                  .cpu_time = std::chrono::seconds(100),
                  .open_files = 50}}
        );
        BOOST_TEST(limits == "4000000000/4000000000 100/101 50/50");
    }
}

BOOST_AUTO_TEST_CASE(without_limits_a_child_has_those_of_this_program) {
    BOOST_TEST(
        report("limits") ==
        limit_text(RLIMIT_AS) + ' ' + limit_text(RLIMIT_CPU) + ' ' + limit_text(RLIMIT_NOFILE)
    );
}

BOOST_AUTO_TEST_CASE(a_limit_is_not_raised_beyond_what_is_allowed) {
    rlimit allowed{};
    ::getrlimit(RLIMIT_NOFILE, &allowed);
    const std::string most = std::to_string(allowed.rlim_max);
    const std::string limits = report("limits", {.limits = {.open_files = allowed.rlim_max + 1}});
    BOOST_TEST(limits.substr(limits.rfind(' ') + 1) == most + '/' + most);
}

BOOST_AUTO_TEST_CASE(a_nice_level_is_added) {
    const int now = ::getpriority(PRIO_PROCESS, 0);
    for (const auto& launcher : launchers) {
        BOOST_TEST(
            report("nice", {.launcher = launcher, .limits = {.nice = 3}}) ==
            std::to_string(std::min(now + 3, 19))
        );
    }
    BOOST_TEST(report("nice", {.limits = {.nice = std::numeric_limits<int>::max()}}) == "19");
}

BOOST_AUTO_TEST_CASE(a_child_runs_on_the_processors_asked_for) {
    for (const auto& launcher : launchers) {
        BOOST_TEST(
            report("cpus", {.launcher = launcher, .limits = {.cpus = {first_cpu()}}}) == "1 with it"
        );
    }
}

BOOST_AUTO_TEST_CASE(processors_that_are_not_there_are_an_error_that_says_so) {
    const Failure failure = failure_of({.limits = {.cpus = {65'535}}});
    BOOST_TEST(contains(failure.text, "cannot run on the processors"));
    BOOST_TEST(failure.code == boost::system::errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(limits_without_sense_are_refused) {
    const std::vector<WorkerLimits> bad{
        {.address_space = 0},
        {.cpu_time = std::chrono::seconds(0)},
        {.cpu_time = std::chrono::seconds(-1)},
        {.open_files = 0},
        {.cpus = {0, -1}},
        {.cpus = {std::numeric_limits<int>::max()}},
    };
    for (const WorkerLimits& limits : bad) {
        BOOST_CHECK_THROW(require_well_formed({.limits = limits}), std::invalid_argument);
    }
    BOOST_CHECK_NO_THROW(require_well_formed({.limits = {.nice = -5}}));
}

BOOST_AUTO_TEST_CASE(kill_works_until_the_end_and_not_after_it) {
    asio::io_context context;
    Talker talker(context, "until-eof");
    BOOST_TEST(talker.child.kill(SIGTERM));
    BOOST_TEST((wait_for_end(context, talker.child).signal == SIGTERM));
    BOOST_TEST(!talker.child.kill(SIGTERM));
    BOOST_TEST(!talker.child.kill_group(SIGTERM));
}

BOOST_AUTO_TEST_CASE(kill_group_reaches_what_the_child_has_started) {
    asio::io_context context;
    Talker talker(context, "family");
    BOOST_TEST(talker.read_some() == "up");
    BOOST_TEST(talker.child.kill_group(SIGKILL));
    BOOST_TEST(talker.read_all() == "");  // ends when the grandchild's copy of the pipe is closed
    BOOST_TEST((wait_for_end(context, talker.child).signal == SIGKILL));
}

BOOST_AUTO_TEST_CASE(destruction_ends_the_process_and_aborts_the_wait) {
    asio::io_context context;
    error_code result;
    {
        Talker talker(context, "until-eof");
        talker.child.async_wait([&](error_code error, ExitStatus) { result = error; });
        context.poll();
        BOOST_TEST(!result);
    }
    context.run_for(patience);
    BOOST_TEST((result == asio::error::operation_aborted));
}

BOOST_AUTO_TEST_CASE(assignment_ends_the_process_that_was_there) {
    asio::io_context context;
    Talker first(context, "until-eof");
    Talker second(context, "until-eof");
    BOOST_TEST(first.read_some() == "up");
    first.child = std::move(second.child);
    BOOST_TEST(first.read_all() == "");
    second.to_child = {};
    BOOST_TEST((wait_for_end(context, first.child).exit_code == 0));
}

BOOST_AUTO_TEST_CASE(a_wait_can_be_cancelled_and_started_again) {
    asio::io_context context;
    Talker talker(context, "until-eof");
    asio::cancellation_signal signal;
    error_code result;
    talker.child.async_wait(asio::bind_cancellation_slot(
        signal.slot(), [&](error_code error, ExitStatus) { result = error; }
    ));
    context.poll();
    signal.emit(asio::cancellation_type::terminal);
    context.run_for(patience);
    BOOST_TEST((result == asio::error::operation_aborted));
    talker.to_child = {};
    BOOST_TEST((wait_for_end(context, talker.child).exit_code == 0));
}

BOOST_AUTO_TEST_CASE(a_pipe_never_takes_the_number_of_a_standard_stream) {
    BOOST_TEST(report("low-pipe") == "above");
}

BOOST_AUTO_TEST_CASE(pipes_close_on_exec) {
    const Pipe pipe = make_pipe();
    BOOST_TEST(::fcntl(pipe.read_end.get(), F_GETFD) == FD_CLOEXEC);
    BOOST_TEST(::fcntl(pipe.write_end.get(), F_GETFD) == FD_CLOEXEC);
}

BOOST_AUTO_TEST_CASE(threads_start_children_at_the_same_time) {
    std::atomic<bool> stop{false};
    std::thread churn([&] {
        while (!stop) {
            const Pipe pipe = make_pipe();
        }
    });
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            asio::io_context context;
            for (int i = 0; i < 25; ++i) {
                Talker talker(context, "descriptors");
                const std::string count = talker.read_all();
                talker.child.async_wait([&](error_code error, ExitStatus status) {
                    good += !error && status.exit_code == 0 && count == "5";
                });
                context.restart();
                context.run_for(patience);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    stop = true;
    churn.join();
    BOOST_TEST(good == 100);
}

BOOST_AUTO_TEST_SUITE_END()
