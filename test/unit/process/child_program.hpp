#pragma once

#include "process/child_process.hpp"

#include "support/sanitizer.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
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

/// @file
/// A test program that is also the child that it starts, in many roles, and what its cases share. A
/// program has this header, which holds its main, in one source.

namespace cofutures::test {

using namespace cofutures::process;
using boost::system::error_code;
namespace asio = boost::asio;

// --- the child -----------------------------------------------------------------------------------

inline std::vector<int> open_descriptors() {
    std::vector<int> result;
    for (int fd = 0; fd < 1024; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) {
            result.push_back(fd);
        }
    }
    return result;
}

inline void write_text(int fd, const std::string& text) {
    if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        ::_exit(99);
    }
}

inline std::string read_to_end(int fd) {
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

inline std::string signal_state() {
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

inline std::string limit_text(decltype(RLIMIT_AS) resource) {
    rlimit limit{};
    ::getrlimit(resource, &limit);
    return std::to_string(limit.rlim_cur) + '/' + std::to_string(limit.rlim_max);
}

inline int first_cpu() {
    cpu_set_t set;
    ::sched_getaffinity(0, sizeof(set), &set);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set)) {
        ++cpu;
    }
    return cpu;
}

inline void start_grandchild_that_holds(int in) {
    if (::fork() == 0) {
        read_to_end(in);
        ::_exit(0);
    }
}

inline std::string pipe_made_without_standard_streams() {
    ::close(0);
    ::close(1);
    ::close(2);
    const Pipe pipe = make_pipe();
    return pipe.read_end.get() > 2 && pipe.write_end.get() > 2 ? "above" : "below";
}

inline std::string spawn_after_own_removal() {
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
inline void pretend_old_kernel() {
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

inline std::string spawn_on_old_kernel() {
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
inline int run_child(std::vector<std::string> words) {
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

// --- the parent ----------------------------------------------------------------------------------

inline constexpr std::chrono::seconds patience{30};

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
inline rlim_t limit_with_room(const std::vector<int>& taken, int room) {
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

inline std::string report(std::string mode, SpawnRequest request = {}) {
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

inline bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// Written to by the destructor of a static object, if that runs in a process other than this.
int witness_of_exit = -1;

}  // namespace cofutures::test

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv, argv + argc);
    if (words.size() > 2 && words[1] == "child") {
        return cofutures::test::run_child(words);
    }
    return boost::unit_test::unit_test_main(&init_unit_test, argc, argv);
}
