#include <cofutures/thread_pool_executor.hpp>

#define BOOST_TEST_MODULE pool_races
#include <boost/test/unit_test.hpp>

#include "support/books.hpp"
#include "support/crew.hpp"
#include "support/leak_check.hpp"
#include "support/rounds.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Books;
using cofutures::test::Crew;
using cofutures::test::LeakCheck;
using cofutures::test::rounds;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

bool adds_up(const ExecutorStats& stats) {
    return stats.submitted ==
           stats.queued + stats.running + stats.completed + stats.failed + stats.cancelled;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pool_races)

BOOST_AUTO_TEST_CASE(cancel_races_start) {
    ThreadPoolExecutor pool(2);
    Books books;
    for (long round = 0; round < rounds(); ++round) {
        auto future = *books.submit(pool);
        const bool cancelled = future.cancel();
        books.settle(future);
        BOOST_REQUIRE(cancelled == future.cancelled());
    }
    BOOST_TEST(books.balance());
    const ExecutorStats stats = pool.stats();
    BOOST_TEST(stats.cancelled == static_cast<std::uint64_t>(books.cancelled));
    BOOST_TEST(stats.completed == static_cast<std::uint64_t>(books.ran));
    BOOST_TEST(adds_up(stats));
}

BOOST_AUTO_TEST_CASE(wait_races_completion) {
    ThreadPoolExecutor pool(2);
    for (long round = 0; round < rounds(); ++round) {
        const auto value = pool.submit([round] { return round; });
        if (round % 4 == 0) {
            value.wait_for(std::chrono::microseconds(round % 50));
        } else if (round % 4 == 1) {
            std::this_thread::yield();
        }
        BOOST_REQUIRE(value.result() == round);
    }
    BOOST_TEST(pool.stats().completed == static_cast<std::uint64_t>(rounds()));
}

BOOST_AUTO_TEST_CASE(a_bounded_queue_with_priorities_under_load) {
    constexpr std::size_t producers = 3;
    Crew crew(producers);
    Books books;
    {
        ThreadPoolExecutor pool({.max_workers = 2, .max_queue = 4});
        std::array<std::vector<Future<void>>, producers> futures;
        std::array<std::uint64_t, producers> most{};
        std::atomic<bool> all_add_up{true};
        crew.play([&](std::size_t index) {
            for (long i = 0; i < rounds() / static_cast<long>(producers); ++i) {
                ++books.wanted;
                const int priority = static_cast<int>(i % 5) - 2;
                futures[index].push_back(pool.submit({.priority = priority}, [&books] {
                    ++books.ran;
                }));
                if (i % 7 == 0) {
                    futures[index].back().cancel();
                }
                if (i % 64 == 0) {
                    const auto stats = pool.stats();
                    most[index] = std::max<std::uint64_t>(most[index], stats.queued);
                    if (!adds_up(stats)) {
                        all_add_up = false;
                    }
                }
            }
        });
        for (const auto& some : futures) {
            for (const auto& future : some) {
                books.settle(future);
            }
        }
        // What a worker has taken and not yet begun is queued too.
        BOOST_TEST(*std::ranges::max_element(most) <= 4U + 2U);
        BOOST_TEST(all_add_up);
    }
    BOOST_TEST(books.balance());
}

BOOST_AUTO_TEST_CASE(idle_threads_leave_while_calls_come) {
    Books books;
    {
        ThreadPoolExecutor pool({.max_workers = 2, .idle_timeout = 1us});
        for (long round = 0; round < rounds() / 10; ++round) {
            const auto future = *books.submit(pool);
            if (round % 2 == 0) {
                future.result();
            }
        }
    }
    BOOST_TEST(books.ran == books.wanted);
}

BOOST_AUTO_TEST_CASE(extra_threads_come_and_go) {
    Books books;
    ThreadPoolExecutor pool({.max_workers = 2, .max_extra_threads = 2});
    ThreadPoolExecutor other(1);
    for (long round = 0; round < rounds() / 10; ++round) {
        auto outside = other.submit([] {});
        const auto waiting = pool.submit([outside = std::move(outside)] { outside.result(); });
        books.submit(pool);
        if (round % 8 == 0) {
            waiting.result();
        }
    }
    pool.shutdown();
    BOOST_TEST(books.ran == books.wanted);
}

BOOST_AUTO_TEST_SUITE_END()
