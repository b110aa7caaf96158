#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE host
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"
#include "support/sanitizer.hpp"

#include <atomic>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int add(int a, int b) {
    return a + b;
}

/// Runs `body` in a worker of its own, a fresh program with one thread: what it does to the process
/// stays there. It gives what failed, or nothing.
std::string in_another_host(std::string (*body)()) {
    ProcessPoolExecutor pool(1);
    return pool.submit(body).result(generous);
}

/// Uses a pool in every way that touches signals and descriptors.
std::string use_a_pool() {
    ProcessPoolExecutor pool(2);
    if (pool.submit(add, 1, 2).result(generous) != 3) {
        return "wrong sum";
    }
    const std::string text(std::size_t{4} << 20, 'x');
    if (pool.submit([](std::string s) { return s; }, text).result(generous) != text) {
        return "wrong text";
    }
    auto gone = pool.submit([] { ::raise(SIGKILL); });
    try {
        gone.result(generous);
        return "no error";
    } catch (const BrokenProcessPool&) {
    }
    pool.shutdown();
    return pool.worker_pids().empty() ? "" : "a worker is left";
}

/// Leaves the process three descriptors: one pipe, but not two.
class FewDescriptors {
public:
    FewDescriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const int next = ::dup(STDIN_FILENO);
        ::close(next);
        rlimit limit = before_;
        limit.rlim_cur = static_cast<rlim_t>(next) + 3;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    FewDescriptors(const FewDescriptors&) = delete;
    FewDescriptors& operator=(const FewDescriptors&) = delete;
    ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

/// A program of the tests, started as a process that is not a worker.
class Program {
public:
    Program(const char* path, const std::vector<std::string>& arguments) {
        if (::pipe2(output_.data(), O_CLOEXEC) != 0) {
            throw std::system_error(errno, std::generic_category(), "pipe2");
        }
        std::vector<char*> words{const_cast<char*>(path)};
        for (const std::string& argument : arguments) {
            words.push_back(const_cast<char*>(argument.c_str()));
        }
        words.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(output_[1], STDOUT_FILENO);
            ::execv(path, words.data());
            ::_exit(127);
        }
        ::close(output_[1]);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    ~Program() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            wait();
        }
        ::close(output_[0]);
    }

    [[nodiscard]] pid_t pid() const { return pid_; }

    std::string read_line() {
        std::string line;
        for (char byte = 0; wait_ready(output_[0], POLLIN) && ::read(output_[0], &byte, 1) == 1;) {
            if (byte == '\n') {
                break;
            }
            line += byte;
        }
        return line;
    }

    /// Its status as of waitpid; -1 if it does not end in time.
    int wait() {
        int status = -1;
        if (wait_gone(pid_)) {
            ::waitpid(pid_, &status, 0);
            pid_ = -1;
        }
        return status;
    }

private:
    std::array<int, 2> output_{};
    pid_t pid_ = -1;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(host)

// --- what the host program does to its process ---------------------------------------------------

BOOST_AUTO_TEST_CASE(the_hosts_signal_handling_is_left_alone) {
    const std::string problem = in_another_host([]() -> std::string {
        static std::atomic<int> children;
        static std::atomic<pthread_t> handled_by;
        struct sigaction handler {};
        handler.sa_handler = [](int) {
            handled_by = ::pthread_self();
            ++children;
        };
        handler.sa_flags = SA_RESTART;
        for (const int signal : {SIGCHLD, SIGPIPE, SIGUSR1}) {
            ::sigaction(signal, &handler, nullptr);
        }
        std::string trouble = use_a_pool();
        if (!trouble.empty()) {
            return trouble;
        }
        if (children == 0) {
            return "no SIGCHLD";  // of the workers that ended
        }
        if (::pthread_equal(handled_by, ::pthread_self()) == 0) {
            return "the handler ran on another thread";
        }
        for (const int signal : {SIGCHLD, SIGPIPE, SIGUSR1}) {
            struct sigaction now {};
            ::sigaction(signal, nullptr, &now);
            if (now.sa_handler != handler.sa_handler || (now.sa_flags & SA_RESTART) == 0) {
                return "another handler";
            }
        }
        sigset_t mask;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        return ::sigisemptyset(&mask) == 1 ? "" : "blocked signals";
    });
    BOOST_TEST(problem == "");
}

BOOST_AUTO_TEST_CASE(a_write_to_a_dead_worker_raises_no_sigpipe) {
    const std::string problem = in_another_host([]() -> std::string {
        static std::atomic<int> pipes;
        std::signal(SIGPIPE, [](int) { ++pipes; });
        for (int i = 0; i < 20; ++i) {
            ProcessPoolExecutor pool(1);
            const pid_t worker = pool.submit(::getpid).result(generous);
            ::kill(worker, SIGKILL);
            wait_gone(worker);
            try {
                pool.submit(
                        [](const std::string& s) { return s.size(); }, std::string(100'000, 'x')
                )
                    .wait();
            } catch (const BrokenProcessPool&) {
            }
        }
        sigset_t pending;
        ::sigpending(&pending);
        return pipes == 0 && ::sigismember(&pending, SIGPIPE) == 0 ? "" : "SIGPIPE";
    });
    BOOST_TEST(problem == "");
}

BOOST_AUTO_TEST_CASE(works_where_sigchld_is_ignored) {
    const std::string problem = in_another_host([] {
        std::signal(SIGCHLD, SIG_IGN);
        return use_a_pool();
    });
    BOOST_TEST(problem == "");
}

BOOST_AUTO_TEST_CASE(works_where_the_host_reaps_every_child) {
    const std::string problem = in_another_host([] {
        std::atomic<bool> stop = false;
        std::thread reaper([&] {
            while (!stop) {
                ::waitpid(-1, nullptr, WNOHANG);
                std::this_thread::yield();
            }
        });
        std::string trouble = use_a_pool();
        stop = true;
        reaper.join();
        return trouble;
    });
    BOOST_TEST(problem == "");
}

BOOST_AUTO_TEST_CASE(works_where_the_standard_streams_are_closed) {
    const std::string problem = in_another_host([] {
        ::close(STDIN_FILENO);
        ::close(STDOUT_FILENO);
        ::close(STDERR_FILENO);
        return use_a_pool();
    });
    BOOST_TEST(problem == "");
}

BOOST_AUTO_TEST_CASE(
    a_pool_without_descriptors_left_is_broken_and_says_why,
    *boost::unit_test::enable_if<!address_sanitizer>()  // needs a pipe of its own
) {
    const std::string problem = in_another_host([]() -> std::string {
        ProcessPoolExecutor pool(1);
        Future<int> future;
        {
            const FewDescriptors few;
            future = pool.submit(add, 1, 2);
            future.wait_for(generous);
        }
        try {
            future.result(0s);
            return "a result";
        } catch (const BrokenProcessPool& error) {
            if (std::string(error.what()).find("Too many open files") == std::string::npos) {
                return error.what();
            }
        }
        return use_a_pool();
    });
    BOOST_TEST(problem == "");
}

BOOST_AUTO_TEST_CASE(
    a_pool_goes_on_with_the_workers_that_it_could_start,
    *boost::unit_test::enable_if<!address_sanitizer>()  // needs a pipe of its own
) {
    const std::string problem = in_another_host([]() -> std::string {
        ProcessPoolExecutor pool(4);
        ProcessGate gate;
        auto first = pool.submit(pass, gate.name());
        gate.wait_for_arrivals(1);
        const FewDescriptors few;
        auto second = pool.submit(::getpid);
        gate.open();
        return second.result(generous) == first.result(generous) ? "" : "another worker";
    });
    BOOST_TEST(problem == "");
}

// --- programs that own a pool --------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(no_worker_survives_a_parent_that_was_killed) {
    Program owner(COFUTURES_POOL_OWNER, {"wait"});
    const pid_t worker = std::stoi(owner.read_line());
    const pid_t nested = std::stoi(owner.read_line());
    ::kill(owner.pid(), SIGKILL);
    BOOST_TEST(WIFSIGNALED(owner.wait()));
    BOOST_TEST(wait_gone(worker));
    BOOST_TEST(wait_gone(nested));
}

BOOST_AUTO_TEST_CASE(no_stopped_worker_survives_a_parent_that_was_killed) {
    Program owner(COFUTURES_POOL_OWNER, {"wait"});
    const pid_t worker = std::stoi(owner.read_line());
    ::kill(worker, SIGSTOP);
    ::kill(owner.pid(), SIGKILL);
    owner.wait();
    ::kill(worker, SIGCONT);  // the system sends it itself only where there is job control
    BOOST_TEST(wait_gone(worker));
}

BOOST_AUTO_TEST_CASE(a_program_that_ends_lets_its_pool_finish) {
    Program owner(COFUTURES_POOL_OWNER, {"return"});
    BOOST_TEST(owner.wait() == 0);
    BOOST_TEST(owner.read_line() == "task done");
}

BOOST_AUTO_TEST_CASE(a_program_without_freeze_support_breaks_its_pool_and_starts_no_pools_in_workers
) {
    Program program(COFUTURES_WITHOUT_FREEZE_SUPPORT, {});
    BOOST_TEST(program.read_line() == "BrokenProcessPool");
    BOOST_TEST(program.wait() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
