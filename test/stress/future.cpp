#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE stress_future
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"
#include "support/seed.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

// Eight threads do everything at once to one future after another: each round has exactly one
// outcome, everyone is told once, and nothing is left. Rounds: `program -- <number>`.

namespace asio = boost::asio;
using namespace cofutures;
using boost::system::error_code;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

int rounds_or(int otherwise) {
    const auto& suite = boost::unit_test::framework::master_test_suite();
    return suite.argc > 1 ? std::atoi(suite.argv[1]) : otherwise;
}

// What the threads of one round share, and what they saw. Told counts are checked at the end.
struct Round {
    Round() : future(promise.get_future()) {}

    ObjectCounts values;
    ObjectCounts functions;
    Promise<Observed> promise;
    Future<Observed> future;  // each thread copies it before the start, then it is dropped

    std::atomic<int> cancels{0};
    std::atomic<bool> claimed{false};
    std::atomic<bool> returned{false};
    std::atomic<int> callbacks_added{0};
    std::atomic<int> callbacks_told{0};
    std::atomic<int> chains_run{0};
    std::atomic<int> waits_begun{0};
    std::atomic<int> waits_done{0};
    std::atomic<int> waits_aborted{0};
    std::atomic<int> contradictions{0};

    void expect(bool holds) {
        if (!holds) {
            ++contradictions;
        }
    }
};

// A wait on a strand, with the signal that may abort it; owned by its handler and the posts.
struct StrandWait {
    explicit StrandWait(asio::thread_pool& pool) : strand(asio::make_strand(pool)) {}

    asio::strand<asio::thread_pool::executor_type> strand;
    asio::cancellation_signal signal;
};

void check_outcome(Round& round, const Future<Observed>& future) {
    round.expect(future.done());
    round.expect(!future.running());
    try {
        round.expect(future.result().value() == 7);
        round.expect(round.claimed);
        round.expect(!future.cancelled());
        round.expect(!future.cancel());
    } catch (const CancelledError&) {
        round.expect(future.cancelled());
        round.expect(future.cancel());
    } catch (const std::runtime_error&) {
        round.expect(round.claimed);
        round.expect(future.exception() != nullptr);
    }
}

void produce(Round& round, bool fails) {
    if (!round.promise.set_running_or_notify_cancel()) {
        round.expect(round.promise.get_future().cancelled());
        return;
    }
    round.claimed = true;
    if (fails) {
        round.promise.set_exception(std::make_exception_ptr(std::runtime_error("failed")));
    } else {
        round.returned = true;
        round.promise.set_result(Observed(round.values, 7));
    }
}

void add_callback(Round& round, const Future<Observed>& future) {
    ++round.callbacks_added;
    future.add_done_callback([&round, part = Observed(round.functions)](const Future<Observed>& f) {
        ++round.callbacks_told;
        check_outcome(round, f);
    });
}

void chain(Round& round, const Future<Observed>& future, bool cancels) {
    const auto chained =
        future
            .then([&round, part = Observed(round.functions)](const Observed& value) {
                ++round.chains_run;
                return value.value();
            })
            .then([](int value) { return value + 1; });
    ++round.callbacks_added;
    chained.add_done_callback([&round](const Future<int>& done) {
        ++round.callbacks_told;
        round.expect(done.done());
    });
    if (cancels) {
        // Not while it runs, and if it does no more it is done.
        round.expect(chained.cancel() || chained.running() || chained.done());
    }
}

void wait_on_strand(
    Round& round, const Future<Observed>& future, asio::thread_pool& pool, bool aborts
) {
    ++round.waits_begun;
    auto wait = std::make_shared<StrandWait>(pool);
    asio::post(wait->strand, [&round, future, wait] {
        future.async_wait(asio::bind_cancellation_slot(
            wait->signal.slot(),
            asio::bind_executor(
                wait->strand,
                [&round, wait, part = Observed(round.functions)](error_code error) {
                    ++(error ? round.waits_aborted : round.waits_done);
                }
            )
        ));
    });
    if (aborts) {
        asio::post(wait->strand, [wait] { wait->signal.emit(asio::cancellation_type::total); });
    }
}

constexpr unsigned thread_count = 8;

void act(
    unsigned thread,
    Round& round,
    Future<Observed> future,
    asio::thread_pool& pool,
    std::uint32_t dice
) {
    switch (thread) {
    case 0:
        produce(round, dice % 4 == 0);
        break;
    case 1:
        if (dice % 2 == 0 && future.cancel()) {
            ++round.cancels;
        }
        break;
    case 2:
        round.expect(future.wait());
        check_outcome(round, future);
        break;
    case 3:
        add_callback(round, future);
        add_callback(round, future);
        break;
    case 4:
        chain(round, future, dice % 3 == 0);
        break;
    case 5:
        wait_on_strand(round, future, pool, dice % 4 != 0);
        wait_on_strand(round, future, pool, false);
        break;
    case 6:
        static_cast<void>(future.wait_for(std::chrono::microseconds(dice % 50)));
        future = {};
        break;
    default:
        try {
            round.expect(std::move(future).result().value() == 7);
        } catch (const std::runtime_error&) {
        }
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(future)

BOOST_AUTO_TEST_CASE(has_one_outcome_and_leaves_nothing_whatever_eight_threads_do) {
    const int rounds = rounds_or(2000);
    std::mt19937 random(test::seed());
    std::vector<std::uint32_t> dice(static_cast<std::size_t>(rounds) * thread_count);
    for (std::uint32_t& die : dice) {
        die = static_cast<std::uint32_t>(random());
    }

    asio::thread_pool pool(2);
    std::unique_ptr<Round> round;
    std::array<Future<Observed>, thread_count> handles;
    std::barrier<> together(thread_count + 1);
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < thread_count; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < rounds; ++i) {
                together.arrive_and_wait();
                act(thread,
                    *round,
                    std::move(handles[thread]),
                    pool,
                    dice[static_cast<std::size_t>(i) * thread_count + thread]);
                together.arrive_and_wait();
            }
        });
    }
    for (int i = 0; i < rounds; ++i) {
        round = std::make_unique<Round>();
        handles.fill(round->future);
        round->future = {};
        together.arrive_and_wait();
        together.arrive_and_wait();

        // The waits end on the pool's threads, in their own time, which is bounded.
        const auto deadline = std::chrono::steady_clock::now() + test::generous;
        while ((round->waits_done + round->waits_aborted < round->waits_begun ||
                round->functions.live() != 0) &&
               std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();
        }
        BOOST_REQUIRE(round->waits_done + round->waits_aborted == round->waits_begun);
        BOOST_REQUIRE(round->callbacks_told == round->callbacks_added);
        BOOST_REQUIRE(round->contradictions == 0);
        BOOST_REQUIRE(round->claimed != (round->cancels > 0));
        BOOST_REQUIRE((round->chains_run == 0 || round->returned));
        BOOST_REQUIRE(round->functions.live() == 0);
        { const auto ended = std::exchange(round->promise, Promise<Observed>()); }
        while (round->values.live() != 0 && std::chrono::steady_clock::now() < deadline) {
            std::this_thread::yield();  // a post may still be destroying its copy of the handle
        }
        BOOST_REQUIRE(round->values.live() == 0);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    pool.join();
}

BOOST_AUTO_TEST_CASE(value_dies_once_when_the_last_handle_meets_the_end_of_the_call) {
    const int rounds = rounds_or(2000) * 5;
    ObjectCounts counts;
    std::optional<Promise<Observed>> promise;
    Future<Observed> handle;
    std::barrier<> together(3);
    std::thread producer([&] {
        for (int i = 0; i < rounds; ++i) {
            together.arrive_and_wait();
            promise->set_result(Observed(counts, i));
            promise.reset();
            together.arrive_and_wait();
        }
    });
    std::thread dropper([&] {
        for (int i = 0; i < rounds; ++i) {
            together.arrive_and_wait();
            handle = {};
            together.arrive_and_wait();
        }
    });
    for (int i = 0; i < rounds; ++i) {
        promise.emplace();
        handle = promise->get_future();
        together.arrive_and_wait();
        together.arrive_and_wait();
        BOOST_REQUIRE(counts.live() == 0);
    }
    producer.join();
    dropper.join();
}

BOOST_AUTO_TEST_CASE(chain_ends_once_when_its_cancel_meets_the_end_of_what_it_waits_for) {
    const int rounds = rounds_or(2000) * 5;
    ObjectCounts functions;
    asio::thread_pool pool(1);
    std::optional<Promise<int>> promise;
    std::array<Future<int>, 2> chained;
    std::barrier<> together(3);
    std::thread producer([&] {
        for (int i = 0; i < rounds; ++i) {
            together.arrive_and_wait();
            promise->set_result(i);
            together.arrive_and_wait();
        }
    });
    std::thread canceller([&] {
        for (int i = 0; i < rounds; ++i) {
            together.arrive_and_wait();
            for (const Future<int>& future : chained) {
                future.cancel();
            }
            together.arrive_and_wait();
        }
    });
    for (int i = 0; i < rounds; ++i) {
        promise.emplace();
        const auto identity = [part = Observed(functions)](int value) {
            return value;
        };
        chained[0] = promise->get_future().then(identity);
        chained[1] = promise->get_future().then(pool.get_executor(), identity);
        std::atomic<int> told{0};
        for (const Future<int>& future : chained) {
            future.add_done_callback([&told] { ++told; });
        }
        together.arrive_and_wait();
        together.arrive_and_wait();
        for (const Future<int>& future : chained) {
            BOOST_REQUIRE(future.wait_for(test::generous));
            BOOST_REQUIRE((future.cancelled() || future.result() == i));
        }
        while (told != 2) {
            std::this_thread::yield();  // the pool's thread runs callbacks after it set us free
        }
    }
    producer.join();
    canceller.join();
    chained = {};
    pool.join();
    BOOST_TEST(functions.live() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
