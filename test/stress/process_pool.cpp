#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE process_pool_stress
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"
#include "support/rounds.hpp"
#include "support/seed.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int twice(int value) {
    return 2 * value;
}

/// A file with a byte for each task that ran.
class Marks {
public:
    static constexpr int count = 500;

    Marks() : path_("/tmp/cofutures-test-XXXXXX"), file_(::mkstemp(path_.data())) {
        BOOST_REQUIRE(::ftruncate(file_, count) == 0);
    }
    Marks(const Marks&) = delete;
    Marks& operator=(const Marks&) = delete;
    ~Marks() {
        ::close(file_);
        ::unlink(path_.c_str());
    }

    [[nodiscard]] const std::string& path() const { return path_; }

    /// Whether the mark is there; it is not any more.
    [[nodiscard]] bool take(int place) const {
        char mark = 0;
        BOOST_REQUIRE(::pread(file_, &mark, 1, place) == 1);
        BOOST_REQUIRE(::pwrite(file_, "", 1, place) == 1);
        return mark != 0;
    }

private:
    std::string path_;
    int file_;
};

int leave_mark(const std::string& path, int place) {
    static const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    return ::pwrite(file, "x", 1, place) == 1 ? place : -1;
}

/// What became of the submissions of one or more threads.
struct Books {
    std::atomic<int> submitted{0};
    std::atomic<int> refused{0};
    std::atomic<int> callbacks{0};
    std::atomic<int> returned{0};
    std::atomic<int> cancelled{0};
    std::atomic<int> broken{0};
};

/// Submits until it is refused, and waits for what was taken.
void submit_until_refused(ProcessPoolExecutor& pool, Books& books, const Gate& start, int most) {
    std::vector<Future<int>> futures;
    start.wait();
    for (int i = 0; i < most; ++i) {
        try {
            futures.push_back(pool.submit(twice, i));
            ++books.submitted;
        } catch (const Error&) {
            ++books.refused;
            break;
        }
        futures.back().add_done_callback([&books] { ++books.callbacks; });
        if (i % 7 == 0) {
            futures.back().cancel();
        }
    }
    for (std::size_t i = 0; i < futures.size(); ++i) {
        try {
            if (futures[i].result(generous) == 2 * static_cast<int>(i)) {
                ++books.returned;
            }
        } catch (const CancelledError&) {
            ++books.cancelled;
        } catch (const BrokenProcessPool&) {
            ++books.broken;
        }
    }
}

/// Has eight threads submit while `end` does something to the pool; gives the balanced books.
template <class End>
void race(Books& books, int most, End end) {
    Gate start;
    std::vector<std::thread> threads;
    {
        ProcessPoolExecutor pool(2);
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&] { submit_until_refused(pool, books, start, most); });
        }
        start.open();
        end(pool);
        for (std::thread& thread : threads) {
            thread.join();
        }
    }
    BOOST_TEST(books.submitted == books.returned + books.cancelled + books.broken);
    BOOST_TEST(books.callbacks == books.submitted);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(process_pool_stress)

BOOST_AUTO_TEST_CASE(books_balance_when_eight_threads_submit) {
    Books books;
    race(books, 1000, [](ProcessPoolExecutor&) {});
    BOOST_TEST(books.submitted == 8000);
    BOOST_TEST(books.refused == 0);
    BOOST_TEST(books.broken == 0);
}

BOOST_AUTO_TEST_CASE(books_balance_when_submitting_races_shutdown) {
    std::minstd_rand random(seed());
    for (int round = 0; round < rounds(30); ++round) {
        Books books;
        race(books, 100'000, [&](ProcessPoolExecutor& pool) {
            const int wanted = static_cast<int>(random() % 500);
            while (books.submitted < wanted) {
                std::this_thread::yield();
            }
            switch (round % 5) {
            case 0:
                pool.shutdown(true);
                break;
            case 1:
                pool.shutdown(false);
                break;
            case 2:
                pool.shutdown(false, true);
                break;
            case 3:
                pool.terminate_workers();
                break;
            default:
                pool.kill_workers();
                break;
            }
        });
        BOOST_TEST(books.refused == 8);
    }
}

BOOST_AUTO_TEST_CASE(books_balance_when_a_worker_is_killed) {
    std::minstd_rand random(seed());
    for (int round = 0; round < rounds(20); ++round) {
        Books books;
        race(books, 100'000, [&](ProcessPoolExecutor& pool) {
            const int wanted = 1 + static_cast<int>(random() % 300);
            std::vector<pid_t> workers;
            while (books.callbacks < wanted || workers.empty()) {
                std::this_thread::yield();
                workers = pool.worker_pids();
            }
            ::kill(workers.back(), SIGKILL);
        });
        BOOST_TEST(books.refused == 8);
    }
}

// Workers are killed at random while four threads submit tasks with and without retries, limits and
// priorities, wait for room, and cancel some: the pool's own books must agree with the callers'.
BOOST_AUTO_TEST_CASE(books_balance_when_workers_are_killed_and_replaced) {
    std::minstd_rand random(seed());
    constexpr int tasks_per_thread = sanitized ? 500 : 1500;
    constexpr int threads = 4;
    std::atomic<std::uint64_t> returned{0};
    std::atomic<std::uint64_t> failed{0};
    std::atomic<std::uint64_t> cancelled{0};
    std::atomic<int> left{threads};
    ExecutorStats stats;
    {
        ProcessPoolExecutor pool(
            {.max_workers = 3,
             .max_tasks_per_child = 400,
             .on_worker_death = WorkerDeath::replace,
             .max_queue = 200}
        );
        std::vector<std::thread> submitters;
        for (int t = 0; t < threads; ++t) {
            submitters.emplace_back([&, t] {
                std::minstd_rand own(static_cast<unsigned>(t) + 1);
                std::vector<Future<int>> futures;
                for (int i = 0; i < tasks_per_thread; ++i) {
                    TaskOptions options;
                    options.priority = static_cast<int>(own() % 3);
                    options.retries = static_cast<int>(own() % 2);
                    if (own() % 4 == 0) {
                        options.timeout = generous;
                    }
                    futures.push_back(pool.submit(options, twice, i));
                    if (own() % 16 == 0) {
                        futures.back().cancel();
                    }
                }
                for (int i = 0; i < tasks_per_thread; ++i) {
                    try {
                        const int value = futures[static_cast<std::size_t>(i)].result(generous);
                        returned += value == 2 * i ? 1 : 0;
                    } catch (const CancelledError&) {
                        ++cancelled;
                    } catch (const WorkerDiedError&) {
                        ++failed;
                    }
                }
                --left;
            });
        }
        for (std::uint64_t next = 50; left != 0;) {
            const ExecutorStats now = pool.stats();
            const std::vector<pid_t> workers = pool.worker_pids();
            if (now.completed >= next && !workers.empty()) {
                check_sum(now);
                ::kill(workers[random() % workers.size()], SIGKILL);
                next = now.completed + 50;
            }
            std::this_thread::yield();
        }
        for (std::thread& thread : submitters) {
            thread.join();
        }
        pool.shutdown();
        stats = pool.stats();
    }
    BOOST_TEST(stats.submitted == std::uint64_t{threads} * tasks_per_thread);
    BOOST_TEST(stats.queued == 0U);
    BOOST_TEST(stats.running == 0U);
    BOOST_TEST(stats.completed == returned);
    BOOST_TEST(stats.failed == failed);
    BOOST_TEST(stats.cancelled == cancelled);
    check_sum(stats);
}

// Short tasks are sent ahead, and cancelled while workers begin them: each that ran has left its
// mark, and no other. Workers wait until the first are cancelled, so that some are for certain.
BOOST_AUTO_TEST_CASE(cancelled_tasks_never_ran) {
    const Marks marks;
    std::minstd_rand random(seed());
    ProcessPoolExecutor pool(2);
    std::uint64_t cancelled = 0;
    std::uint64_t submitted = 0;
    for (int round = 0; round < rounds(100); ++round) {
        ProcessGate gate;
        const std::array held{pool.submit(pass, gate.name()), pool.submit(pass, gate.name())};
        gate.wait_for_arrivals(2);
        std::vector<Future<int>> futures;
        for (int i = 0; i < Marks::count; ++i) {
            futures.push_back(pool.submit(leave_mark, marks.path(), i));
        }
        submitted += held.size() + futures.size();
        std::thread other([&futures, first = random() % futures.size()] {
            for (std::size_t i = first; i < futures.size(); i += 5) {
                futures[i].cancel();
            }
        });
        const std::size_t first = random() % 3;
        const std::size_t opening = first + 3 * (random() % 50);
        for (std::size_t i = first; i < futures.size(); i += 3) {
            futures[i].cancel();
            if (i == opening) {
                gate.open();
            }
        }
        other.join();
        for (std::size_t i = 0; i < futures.size(); ++i) {
            BOOST_REQUIRE(futures[i].wait_for(generous));
            cancelled += futures[i].cancelled() ? 1U : 0U;
            const bool ran = marks.take(static_cast<int>(i));
            if (ran == futures[i].cancelled()) {
                BOOST_FAIL("task " << i << (ran ? " was cancelled and ran" : " did not run"));
            }
        }
    }
    BOOST_TEST(cancelled > 0U);
    pool.shutdown();
    const ExecutorStats stats = pool.stats();
    BOOST_TEST(stats.cancelled == cancelled);
    BOOST_TEST(stats.completed == submitted - cancelled);
    BOOST_TEST(stats.worker_deaths == 0U);
    check_sum(stats);
}

BOOST_AUTO_TEST_CASE(two_hundred_pools_leave_nothing_behind) {
    const Holdings before = Holdings::now();
    for (int i = 0; i < rounds(200); ++i) {
        ProcessPoolExecutor pool(2);
        auto future = pool.submit(twice, i);
        if (i % 3 == 0) {
            BOOST_TEST(future.result(generous) == 2 * i);
        } else if (i % 3 == 1) {
            pool.kill_workers();
        }
    }
    const Holdings after = Holdings::now();
    BOOST_TEST(after.children <= before.children);
    BOOST_TEST(after.descriptors <= before.descriptors);
}

BOOST_AUTO_TEST_CASE(four_pools_work_at_one_time) {
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int round = 0; round < 10; ++round) {
                ProcessPoolExecutor pool(2);
                std::vector<Future<std::string>> futures;
                for (std::size_t i = 0; i < 20; ++i) {
                    futures.push_back(
                        pool.submit([](std::string s) { return s; }, std::string(i * 10'000, 'x'))
                    );
                }
                for (std::size_t i = 0; i < 20; ++i) {
                    good += futures[i].result(generous).size() == i * 10'000;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    BOOST_TEST(good == 4 * 10 * 20);
}

BOOST_AUTO_TEST_SUITE_END()
