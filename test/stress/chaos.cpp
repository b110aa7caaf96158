// Process pools to which everything happens that can happen to them, for as long as one likes:
//
//   stress.chaos [--seconds N] [--seed S]
//
// Workers are killed, stopped and let go on; tasks crash, exit, hang, and send more than a pipe
// holds; at times there is no descriptor to be had, or no shared memory; and programs that own
// pools are killed. Every future ends, what returns is right, the books balance, and at the end no
// process, thread, descriptor or byte is left. Not a Boost.Test program: its own main serves as a
// worker's, and as that of the programs that are killed.

#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_NO_MAIN
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/ledger.hpp"
#include "support/long_run.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

// --- what tasks do ------------------------------------------------------------------------------

int twice(int value) {
    return 2 * value;
}

int fail(int value) {
    throw std::runtime_error("task " + std::to_string(value));
}

int crash() {
    std::raise(SIGSEGV);
    return 0;
}

int leave(int code) {
    std::_Exit(code);
}

int hang() {
    for (;;) {
        ::pause();
    }
}

int add_up(const std::vector<int>& values) {
    return std::accumulate(values.begin(), values.end(), 0);
}

std::vector<int> ones(int count) {
    return std::vector<int>(static_cast<std::size_t>(count), 1);
}

// --- one pool and its user ----------------------------------------------------------------------

/// Submits one task after another, and knows what each should give.
class User {
public:
    User(ProcessPoolExecutor& pool, Ledger& ledger, std::uint32_t seed)
        : pool_(pool), ledger_(ledger), random_(seed) {}

    void act(int operations) {
        try {
            for (int i = 0; i < operations; ++i) {
                act_once();
            }
        } catch (const BrokenExecutor&) {
            ++ledger_.refused;
        } catch (const ShutdownError&) {
            ++ledger_.refused;
        }
        for (const auto& future : futures_) {
            require(future.wait_for(generous), "a future never ends");
        }
    }

private:
    void act_once() {
        switch (below(random_, 40)) {
        case 0:
            keep(pool_.submit(fail, 1), 0);
            break;
        case 1:
            keep(pool_.submit(crash), 0);
            break;
        case 2:
            keep(pool_.submit(leave, below(random_, 3)), 0);
            break;
        case 3:
            keep(
                pool_.submit({.timeout = std::chrono::milliseconds(1 + below(random_, 30))}, hang),
                0
            );
            break;
        case 4: {
            const int count = below(random_, 60'000);  // more than a pipe holds, or not
            keep(pool_.submit(add_up, ones(count)), count);
            break;
        }
        case 5: {
            const int count = below(random_, 2'000'000);
            auto sum = pool_.submit(ones, count).then([](const std::vector<int>& values) {
                return add_up(values);
            });
            keep(std::move(sum), count);
            break;
        }
        case 6:
            if (!futures_.empty()) {
                futures_[random_() % futures_.size()].cancel();
            }
            break;
        case 7:
            if (!futures_.empty()) {
                static_cast<void>(futures_.back().wait_for(2ms));
            }
            break;
        case 8:
            map_some();
            break;
        default: {
            const int value = below(random_, 1000);
            keep(pool_.submit({.retries = below(random_, 2)}, twice, value), 2 * value);
        }
        }
    }

    void keep(Future<int> future, int expected) {
        ledger_.enter(future, expected);
        futures_.push_back(std::move(future));
    }

    void map_some() {
        const std::vector<int> items = ones(1 + below(random_, 40));
        try {
            for (const int result : pool_.map({.chunksize = 8}, twice, items)) {
                require(result == 2, "map gave a wrong result");
            }
        } catch (const Error&) {  // a worker died with a part of it, or the pool ended
        }
    }

    ProcessPoolExecutor& pool_;
    Ledger& ledger_;
    Random random_;
    std::vector<Future<int>> futures_;
};

// --- what happens to it -------------------------------------------------------------------------

/// Takes a resource away from this process while it lives. The workers that are started meanwhile
/// have no more of it either.
class Shortage {
public:
    Shortage(__rlimit_resource resource, rlim_t most) : resource_(resource) {
        ::getrlimit(resource_, &before_);
        const rlimit less{
            .rlim_cur = std::min(most, before_.rlim_cur), .rlim_max = before_.rlim_max};
        ::setrlimit(resource_, &less);
    }
    Shortage(const Shortage&) = delete;
    Shortage& operator=(const Shortage&) = delete;
    ~Shortage() { ::setrlimit(resource_, &before_); }

private:
    const __rlimit_resource resource_;
    rlimit before_{};
};

/// Does harm to a pool, on a thread of its own, until it is destroyed.
class Saboteur {
public:
    Saboteur(ProcessPoolExecutor& pool, std::uint32_t seed)
        : pool_(pool), random_(seed), thread_([this] { work(); }) {}
    Saboteur(const Saboteur&) = delete;
    Saboteur& operator=(const Saboteur&) = delete;
    ~Saboteur() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

private:
    void work() {
        while (!rests(std::chrono::milliseconds(below(random_, 40)))) {
            act_once();
        }
        let_go_on();
    }

    void act_once() {
        switch (below(random_, 6)) {
        case 0:
            signal_some_worker(SIGKILL);
            break;
        case 1:
            signal_some_worker(SIGTERM);
            break;
        case 2:
            stopped_.push_back(signal_some_worker(SIGSTOP));
            break;
        case 3:
            let_go_on();
            break;
        case 4:
            if (!sanitized) {  // a sanitizer does not expect to find no descriptor
                const auto used = static_cast<rlim_t>(Holdings::now().descriptors);
                const Shortage of_descriptors(RLIMIT_NOFILE, used + random_() % 8);
                static_cast<void>(rests(2ms));
            }
            break;
        default: {
            const Shortage of_shared_memory(RLIMIT_FSIZE, random_() % (4U << 20U));
            static_cast<void>(rests(2ms));
        }
        }
    }

    pid_t signal_some_worker(int signal) {
        const std::vector<pid_t> workers = pool_.worker_pids();
        if (workers.empty()) {
            return 0;
        }
        const pid_t worker = workers[random_() % workers.size()];
        ::kill(worker, signal);
        return worker;
    }

    void let_go_on() {
        for (const pid_t worker : std::exchange(stopped_, {})) {
            if (worker != 0) {
                ::kill(worker, SIGCONT);
            }
        }
    }

    // Whether it is the end.
    bool rests(std::chrono::milliseconds time) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, time, [this] { return ended_; });
    }

    ProcessPoolExecutor& pool_;
    Random random_;
    std::vector<pid_t> stopped_;
    std::mutex mutex_;  // guards ended_
    std::condition_variable changed_;
    bool ended_ = false;
    std::thread thread_;
};

void live_once(Ledger& ledger, Random& random) {
    {
        ProcessPoolOptions options{.max_workers = 1 + below(random, 3), .termination_grace = 20ms};
        if (below(random, 8) != 0) {
            options.on_worker_death = WorkerDeath::replace;
        }
        if (below(random, 3) == 0) {
            options.max_tasks_per_child = 1 + below(random, 10);
        }
        ProcessPoolExecutor pool(std::move(options));
        std::exception_ptr wrong;
        std::thread user([&, seed = static_cast<std::uint32_t>(random())] {
            try {
                User(pool, ledger, seed).act(150);
            } catch (...) {
                wrong = std::current_exception();
            }
        });
        {
            const Saboteur saboteur(pool, static_cast<std::uint32_t>(random()));
            switch (below(random, 10)) {
            case 0:
                pool.shutdown(false, true);
                break;
            case 1:
                pool.kill_workers();
                break;
            default:
                break;
            }
            user.join();
        }
        if (wrong) {
            std::rethrow_exception(wrong);
        }
    }
    const auto deadline = Clock::now() + generous;
    while (ledger.ended() != ledger.submitted && Clock::now() < deadline) {
        std::this_thread::yield();  // the last callbacks run after the futures are seen done
    }
    require(ledger.ended() == ledger.submitted, "the books do not balance");
    require(ledger.wrong == 0, "a task gave a wrong result");
}

// --- programs that own pools, and are killed ----------------------------------------------------

constexpr const char* host_word = "--host";
constexpr const char* marker = "COFUTURES_CHAOS";

/// Keeps a pool busy until it is killed.
[[noreturn]] void be_host() {
    ProcessPoolExecutor pool(2);
    for (;;) {
        pool.submit(add_up, ones(50'000));
        pool.submit(hang);
        pool.submit(twice, 1).wait_for(1ms);
    }
}

/// Whether a process lives that has the marker in its environment: such a program, or its worker.
bool is_any_left(const std::string& marked) {
    for (const auto& process : std::filesystem::directory_iterator("/proc")) {
        std::ifstream file(process.path() / "environ");
        const std::string environment(std::istreambuf_iterator<char>(file), {});
        if (environment.find(marked) != std::string::npos) {  // a zombie has none
            return true;
        }
    }
    return false;
}

void kill_a_host(Random& random) {
    const std::string value = std::to_string(::getpid());
    const pid_t host = ::fork();
    if (host == 0) {
        ::setenv(marker, value.c_str(), 1);
        ::execl("/proc/self/exe", "chaos", host_word, nullptr);
        std::_Exit(127);
    }
    const int event = static_cast<int>(::syscall(SYS_pidfd_open, host, 0U));
    pollfd watched{.fd = event, .events = POLLIN, .revents = 0};
    ::poll(&watched, 1, below(random, 60));
    ::close(event);
    ::kill(host, SIGKILL);
    int status = 0;
    ::waitpid(host, &status, 0);
    require(
        WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a host ended before it was killed"
    );
    const auto deadline = Clock::now() + generous;
    while (is_any_left(marker + ("=" + value))) {
        require(Clock::now() < deadline, "a worker outlives the program that owned it");
        std::this_thread::yield();
    }
}

// --- the program --------------------------------------------------------------------------------

void bring_chaos(const LongRunArguments& arguments) {
    std::printf("chaos --seed %lu\n", static_cast<unsigned long>(arguments.seed));
    std::fflush(stdout);
    Random random(arguments.seed);
    Ledger ledger;
    std::thread([] {}).join();  // a sanitizer may start a thread together with the first
    const Holdings before = Holdings::now();
    const auto end = Clock::now() + std::chrono::seconds(arguments.seconds);
    double warm = 0;
    int lives = 0;
    for (; Clock::now() < end || lives < 4; ++lives) {
        live_once(ledger, random);
        kill_a_host(random);
        if (lives == 3) {
            warm = used_mib();  // what is made once, such as caches, is there now
        }
    }
    ledger.print(("after " + std::to_string(lives) + " pools").c_str());
    require_nothing_left(before);
    const double grown = used_mib() - warm;
    std::printf("%.2f MiB more than after four pools\n", grown);
    require(grown < 4, "the memory has grown");
}

}  // namespace

int main(int argc, char** argv) {
    freeze_support(argc, argv);
    if (argc > 1 && std::string(argv[1]) == host_word) {
        be_host();
    }
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error like any other

    try {
        bring_chaos(LongRunArguments::parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "FAILED: %s\n", error.what());
        return 1;
    }
}
