#include <cofutures/wait.hpp>

#define BOOST_TEST_MODULE wait_stress
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/seed.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::generous;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

using Futures = std::vector<Future<int>>;

// Threads that end futures: with a value, an exception, by cancelling, or by dropping the promise.
class Finishers {
public:
    explicit Finishers(std::uint32_t seed) {
        for (std::uint32_t i = 0; i < 8; ++i) {
            threads_.emplace_back([this, i, seed] { run(seed + i); });
        }
    }
    ~Finishers() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            changed_.notify_all();
        }
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }

    Futures start(std::size_t count) {
        std::vector<Promise<int>> promises(count);
        Futures futures;
        for (const Promise<int>& promise : promises) {
            futures.push_back(promise.get_future());
        }
        const std::lock_guard lock(mutex_);
        for (Promise<int>& promise : promises) {
            queue_.push_back(std::move(promise));
        }
        changed_.notify_all();
        return futures;
    }

private:
    void run(std::uint32_t seed) {
        std::mt19937 random(seed);
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
            if (queue_.empty()) {
                return;
            }
            {
                Promise<int> promise = std::move(queue_.front());
                queue_.pop_front();
                lock.unlock();
                end(promise, random());
            }
            lock.lock();
        }
    }

    static void end(Promise<int>& promise, std::uint_fast32_t how) {
        switch (how % 8) {
        case 0:
            promise.get_future().cancel();
            break;
        case 1:
            promise.set_exception(std::make_exception_ptr(std::runtime_error("failed")));
            break;
        case 2:
            break;  // dropped
        default:
            promise.set_result(1);
        }
    }

    std::mutex mutex_;  // guards queue_ and stopping_
    std::condition_variable changed_;
    std::deque<Promise<int>> queue_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

struct Stress {
    std::uint32_t seed = cofutures::test::seed();
    Finishers finishers{seed};
    std::mt19937 random{seed};

    std::size_t up_to(std::size_t most) {
        return std::uniform_int_distribution<std::size_t>(0, most)(random);
    }
    std::chrono::microseconds short_time() { return std::chrono::microseconds(up_to(50)); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(wait_stress, Stress)

BOOST_AUTO_TEST_CASE(waits_come_and_go_while_futures_end) {
    constexpr int rounds = 40'000;
    for (int round = 0; round < rounds; ++round) {
        const Futures futures = finishers.start(up_to(8));
        const ReturnWhen when = static_cast<ReturnWhen>(up_to(2));
        for (int i = 0; i < 2; ++i) {
            const auto found = wait(futures, short_time(), when);
            BOOST_TEST_REQUIRE(found.done.size() + found.not_done.size() == futures.size());
        }
        if (round % 4 == 0) {
            const auto found = wait(futures, generous, when);
            BOOST_TEST_REQUIRE((futures.empty() || !found.done.empty()));
            BOOST_TEST_REQUIRE((when != ALL_COMPLETED || found.not_done.empty()));
        }
    }
}

BOOST_AUTO_TEST_CASE(iterations_come_and_go_while_futures_end) {
    constexpr int rounds = 40'000;
    for (int round = 0; round < rounds; ++round) {
        const Futures futures = finishers.start(up_to(8));
        auto first = as_completed(futures);
        std::size_t given = 0;
        try {
            for (Future<int> future : as_completed(futures, short_time())) {
                BOOST_TEST_REQUIRE(future.done());
                if (++given == 5) {
                    break;
                }
            }
        } catch (const TimeoutError&) {
        }
        if (round % 2 == 0) {
            given = 0;
            for (Future<int> future : first) {
                BOOST_TEST_REQUIRE(future.done());
                ++given;
            }
            BOOST_TEST_REQUIRE(given == futures.size());
        }
    }
}

BOOST_AUTO_TEST_CASE(done_future_is_given_even_after_the_deadline) {
    constexpr int rounds = 20'000;
    for (int round = 0; round < rounds; ++round) {
        const Futures futures = finishers.start(1);
        auto range = as_completed(futures, 0s);
        while (!futures[0].done()) {
            std::this_thread::yield();
        }
        // Its thread may be about to tell; it is given all the same.
        BOOST_TEST_REQUIRE((*range.begin() == futures[0]));
    }
}

BOOST_AUTO_TEST_CASE(combined_futures_end_or_are_cancelled) {
    constexpr int rounds = 20'000;
    for (int round = 0; round < rounds; ++round) {
        const Futures futures = finishers.start(1 + up_to(7));
        const auto all = when_all(futures);
        const auto any = when_any(futures);
        if (round % 2 == 0) {
            all.cancel();
            any.cancel();
        }
        BOOST_TEST_REQUIRE(all.wait_for(generous));
        BOOST_TEST_REQUIRE(any.wait_for(generous));
        BOOST_TEST_REQUIRE((any.cancelled() || any.result().done()));
    }
}

BOOST_AUTO_TEST_CASE(async_waits_are_cancelled_while_futures_end) {
    constexpr int rounds = 20'000;
    asio::io_context context;
    auto work = asio::make_work_guard(context);
    std::thread runner([&] { context.run(); });
    std::atomic<int> completed{0};
    for (int round = 0; round < rounds; ++round) {
        const Futures futures = finishers.start(1 + up_to(3));
        // On the context's thread: a slot belongs to one thread.
        asio::post(context, [&, futures, abort = round % 2 == 0, later = round % 4 == 0] {
            const auto signal = std::make_shared<asio::cancellation_signal>();
            async_wait(
                futures,
                ALL_COMPLETED,
                asio::bind_cancellation_slot(
                    signal->slot(),
                    asio::bind_executor(
                        context,
                        [&completed,
                         signal](const std::exception_ptr&, const DoneAndNotDone<int>&) {
                            ++completed;
                        }
                    )
                )
            );
            const auto emit = [signal] {
                signal->emit(asio::cancellation_type::total);
            };
            if (later) {
                asio::post(context, emit);
            } else if (abort) {
                emit();
            }
        });
    }
    work.reset();
    runner.join();
    BOOST_TEST(completed == rounds);
}

BOOST_AUTO_TEST_CASE(async_iterations_are_cancelled_while_futures_end) {
    constexpr int rounds = 10'000;
    asio::io_context context;
    auto work = asio::make_work_guard(context);
    std::thread runner([&] { context.run(); });
    struct Iteration {
        Iteration(const Futures& futures, bool abort_one)
            : completed(async_as_completed(futures)), expected(futures.size()), abort(abort_one) {}

        AsyncAsCompleted<Future<int>> completed;
        std::size_t expected;
        std::size_t given = 0;
        bool abort;
        asio::cancellation_signal signal;

        void step(asio::io_context& run, std::atomic<int>& ended, std::shared_ptr<Iteration> self) {
            completed.next(asio::bind_cancellation_slot(
                signal.slot(),
                asio::bind_executor(
                    run,
                    [&run, &ended, self](
                        const std::exception_ptr& error, const std::optional<Future<int>>& next
                    ) {
                        self->given += next ? 1 : 0;
                        if (error || next) {
                            self->step(run, ended, self);
                        } else {
                            ended += self->given == self->expected ? 1 : 0;
                        }
                    }
                )
            ));
            if (abort) {
                abort = false;
                signal.emit(asio::cancellation_type::total);
            }
        }
    };
    std::atomic<int> ended{0};
    for (int round = 0; round < rounds; ++round) {
        asio::post(context, [&, futures = finishers.start(1 + up_to(3)), abort = round % 2 == 0] {
            const auto iteration = std::make_shared<Iteration>(futures, abort);
            iteration->step(context, ended, iteration);
        });
    }
    work.reset();
    runner.join();
    BOOST_TEST(ended == rounds);
}

BOOST_AUTO_TEST_SUITE_END()
