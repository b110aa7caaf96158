// Random operations over all executors, for as long as one likes, with books that must balance:
//
//   stress.soak [--seconds N] [--seed S]
//
// What was submitted must be what returned, failed and was cancelled, by the callbacks of all
// futures; and at the end there is no thread, child process or descriptor more than at the start,
// and hardly a byte. Not a Boost.Test program: its own main serves as a worker's.

#include <cofutures/cofutures.hpp>

#define BOOST_TEST_NO_MAIN
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/ledger.hpp"
#include "support/long_run.hpp"

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <signal.h>

using namespace cofutures;
using cofutures::test::below;
using cofutures::test::generous;
using cofutures::test::Holdings;
using cofutures::test::Ledger;
using cofutures::test::LongRunArguments;
using cofutures::test::Random;
using cofutures::test::require;
using cofutures::test::require_nothing_left;
using cofutures::test::used_mib;

namespace {

using Clock = std::chrono::steady_clock;

// --- what tasks do, in this process or in another -----------------------------------------------

int twice(int value) {
    return 2 * value;
}

int fail(int value) {
    throw std::runtime_error("task " + std::to_string(value));
}

int add_up(int rounds) {
    volatile int sum = 0;
    for (int i = 0; i < rounds; ++i) {
        sum = sum + 1;
    }
    return sum;
}

// --- one user of an executor --------------------------------------------------------------------

/// Does one thing after another to an executor that others use, and may end, at the same time.
class User {
public:
    User(Executor& executor, Ledger& books, std::uint32_t seed)
        : executor_(executor), books_(books), random_(seed) {}

    void act(int operations) {
        for (int i = 0; i < operations; ++i) {
            try {
                act_once();
            } catch (const ShutdownError&) {
                ++books_.refused;
                break;
            } catch (const BrokenExecutor&) {
                ++books_.refused;
                break;
            }
        }
        for (const auto& future : futures_) {
            require(future.wait_for(generous), "a future is never done");
        }
    }

private:
    void act_once() {
        switch (below(random_, 12)) {
        case 0:
            keep(executor_.submit(fail, 1), 0);
            break;
        case 1:
            keep(executor_.submit(add_up, 20'000), 20'000);
            break;
        case 2:
            books_.enter(executor_.submit(twice, 4), 8);  // and forget it
            break;
        case 3:
            if (!futures_.empty()) {
                any().cancel();
            }
            break;
        case 4:
            if (!futures_.empty()) {
                keep_later(any().then([](int value) { return value; }));
            }
            break;
        case 5:
            static_cast<void>(wait(some(), std::chrono::milliseconds(below(random_, 3))));
            break;
        case 6:
            drain_some();
            break;
        case 7:
            map_some();
            break;
        case 8:
            futures_.resize(futures_.size() / 2);
            break;
        default:
            const int value = below(random_, 1000);
            keep(executor_.submit(twice, value), 2 * value);
        }
    }

    void keep(Future<int> future, int expected) {
        books_.enter(future, expected);
        futures_.push_back(std::move(future));
    }
    // Not submitted, so not in the books; but it must end as well.
    void keep_later(Future<int> future) { futures_.push_back(std::move(future)); }

    Future<int>& any() {
        return futures_[static_cast<std::size_t>(below(random_, static_cast<int>(futures_.size()))
        )];
    }
    std::vector<Future<int>> some() {
        std::vector<Future<int>> chosen;
        for (int i = below(random_, 8); i > 0 && !futures_.empty(); --i) {
            chosen.push_back(any());
        }
        return chosen;
    }

    void drain_some() {
        try {
            for (const auto& future : as_completed(some(), std::chrono::milliseconds(1))) {
                require(future.done(), "as_completed gave what is not done");
                if (below(random_, 3) == 0) {
                    return;
                }
            }
        } catch (const TimeoutError&) {
        }
    }

    // Reads all of it, or leaves in the middle.
    void map_some() {
        const int count = below(random_, 50);
        std::vector<int> items(static_cast<std::size_t>(count));
        for (int i = 0; i < count; ++i) {
            items[static_cast<std::size_t>(i)] = i;
        }
        const int read = below(random_, 60);
        auto results = executor_.map({.chunksize = 7}, twice, items);
        try {
            for (int i = 0; i < read && i < count; ++i) {
                const auto result = results.next();
                require(result == 2 * i, "map gave a wrong result");
            }
        } catch (const CancelledError&) {  // another user ended the executor
        }
    }

    Executor& executor_;
    Ledger& books_;
    Random random_;
    std::vector<Future<int>> futures_;
};

// --- one life of an executor --------------------------------------------------------------------

/// Has up to three threads use it while this one may end it.
void use(Executor& executor, Ledger& books, Random& random, int operations) {
    std::vector<std::thread> users;
    std::atomic<bool> good{true};
    const int count = 1 + below(random, 3);
    for (int i = 0; i < count; ++i) {
        const auto seed = static_cast<std::uint32_t>(random());
        users.emplace_back([&executor, &books, &good, seed, operations] {
            try {
                User(executor, books, seed).act(operations);
            } catch (const std::exception& error) {
                std::fprintf(stderr, "%s\n", error.what());
                good = false;
            }
        });
    }
    switch (below(random, 6)) {
    case 0:
        executor.shutdown(false, true);
        break;
    case 1:
        executor.shutdown(true, true);
        break;
    case 2:
        executor.shutdown(false);
        break;
    default:  // its destructor does
        break;
    }
    for (std::thread& user : users) {
        user.join();
    }
    require(good, "a user of an executor saw something wrong");
}

struct Join {
    std::thread& thread;
    ~Join() { thread.join(); }
};

void live_once(Ledger& books, Random& random) {
    switch (below(random, 8)) {
    case 0: {
        ProcessPoolExecutor pool({.max_workers = 1 + below(random, 2)});
        std::thread killer([&pool, kills = below(random, 3) == 0, length = below(random, 100'000)] {
            try {
                pool.submit(add_up, length).wait();
                for (const pid_t worker : kills ? pool.worker_pids() : std::vector<pid_t>()) {
                    ::kill(worker, SIGKILL);
                }
            } catch (const Error&) {  // the pool ended first
            }
        });
        const Join join{killer};
        use(pool, books, random, 60);
        break;
    }
    case 1:
    case 2: {
        boost::asio::thread_pool threads(1 + static_cast<std::size_t>(below(random, 3)));
        {
            AsioExecutor executor(threads.get_executor());
            use(executor, books, random, 200);
        }
        threads.join();
        break;
    }
    default: {
        ThreadPoolExecutor pool(1 + below(random, 4));
        use(pool, books, random, 300);
    }
    }
    // The last callbacks run after the futures are seen done.
    const auto deadline = Clock::now() + generous;
    while (books.ended() != books.submitted && Clock::now() < deadline) {
        std::this_thread::yield();
    }
    require(books.ended() == books.submitted, "the books do not balance");
    require(books.wrong == 0, "a task gave a wrong result");
}

// --- the program --------------------------------------------------------------------------------

void soak(const LongRunArguments& arguments) {
    std::printf("soak --seed %lu\n", static_cast<unsigned long>(arguments.seed));
    std::fflush(stdout);
    Random random(arguments.seed);
    Ledger books;
    std::thread([] {}).join();  // a sanitizer may start a thread together with the first
    const Holdings before = Holdings::now();
    const auto start = Clock::now();
    const auto end = start + std::chrono::seconds(arguments.seconds);
    auto next_news = start + std::chrono::minutes(1);
    double warm = 0;
    int lives = 0;
    for (; Clock::now() < end || lives < 10; ++lives) {
        live_once(books, random);
        if (lives == 9) {
            warm = used_mib();  // what is made once, such as caches, is there now
        }
        if (Clock::now() > next_news) {
            next_news += std::chrono::minutes(1);
            books.print("so far");
        }
    }
    books.print(("after " + std::to_string(lives) + " executors").c_str());
    require_nothing_left(before);
    const double grown = used_mib() - warm;
    std::printf("%.2f MiB more than after ten executors\n", grown);
    require(grown < 2, "the memory has grown");
}

}  // namespace

int main(int argc, char** argv) {
    freeze_support(argc, argv);

    try {
        soak(LongRunArguments::parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "FAILED: %s\n", error.what());
        return 1;
    }
}
