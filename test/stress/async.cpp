#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE stress_async
#include <boost/test/unit_test.hpp>

#include "support/asio_test.hpp"
#include "support/gate.hpp"
#include "support/object_observer.hpp"

#include <cofutures/thread_pool_executor.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace cofutures;
using namespace std::chrono_literals;
using boost::system::error_code;
using cofutures::test::holds;
using cofutures::test::is_aborted;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

constexpr int threads = 3;

// One operation that a producer ends while a strand cancels it.
struct Race {
    template <class Pool>
    explicit Race(Pool& pool) : strand(asio::make_strand(pool)) {}

    asio::strand<asio::thread_pool::executor_type> strand;
    asio::cancellation_signal signal;
    Promise<int> promise;
    Future<int> future = promise.get_future();
    int upcalls = 0;  // on the strand
};

struct Ends {
    std::atomic<int> values{0};
    std::atomic<int> aborted{0};
    std::atomic<int> others{0};

    [[nodiscard]] int all() const { return values + aborted + others; }
};

// Lets a producer and a strand race `rounds` times, several races at a time, and counts how the
// operations ended. `start(race, handler)` starts one, on the strand.
template <class Start>
void race(int rounds, Start start, Ends& ends) {
    constexpr int batch = 100;
    ObjectCounts counts;
    for (int done = 0; done < rounds; done += batch) {
        asio::thread_pool pool(threads);
        std::deque<Race> races;
        for (int i = 0; i < batch; ++i) {
            races.emplace_back(pool);
        }
        std::latch begun(batch);
        for (Race& each : races) {
            asio::post(each.strand, [&] {
                start(
                    each,
                    [&, part = Observed(counts)](const std::exception_ptr& error, int value) {
                        ++each.upcalls;
                        if (!error && value == 1) {
                            ++ends.values;
                        } else if (is_aborted(error)) {
                            ++ends.aborted;
                        } else {
                            ++ends.others;
                        }
                    }
                );
                asio::post(each.strand, [&] {
                    each.signal.emit(asio::cancellation_type::terminal);
                });
                begun.count_down();
            });
        }
        std::size_t next = 0;
        // Some end before they are waited for, some while, some after they were cancelled.
        for (; next < races.size() / 4; ++next) {
            races[next].promise.set_result(1);
        }
        begun.wait();
        for (; next < races.size(); ++next) {
            races[next].promise.set_result(1);
        }
        pool.join();
        for (const Race& each : races) {
            BOOST_REQUIRE(each.upcalls == 1);
        }
    }
    BOOST_TEST(counts.live() == 0);
    BOOST_TEST(ends.all() == rounds);
}

// Runs at once, frees itself at the end.
struct Detached {
    struct promise_type {
        Detached get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
};

}  // namespace

BOOST_AUTO_TEST_SUITE(stress_async)

BOOST_AUTO_TEST_CASE(cancelling_races_with_the_end) {
    Ends ends;
    race(
        20'000,
        [](Race& each, auto handler) {
            each.future.async_result(asio::bind_cancellation_slot(
                each.signal.slot(), asio::bind_executor(each.strand, std::move(handler))
            ));
        },
        ends
    );
    BOOST_TEST(ends.others == 0);
}

BOOST_AUTO_TEST_CASE(cancelling_and_a_timeout_race_with_the_end) {
    Ends ends;
    race(
        20'000,
        [](Race& each, auto handler) {
            each.future.async_result_for(
                50us,
                asio::bind_cancellation_slot(
                    each.signal.slot(), asio::bind_executor(each.strand, std::move(handler))
                )
            );
        },
        ends
    );
}

BOOST_AUTO_TEST_CASE(timeouts_on_a_pool_without_strand_race_with_the_end) {
    constexpr int rounds = 5000;
    std::atomic<int> values{0};
    std::atomic<int> timeouts{0};
    asio::thread_pool pool(threads);
    std::deque<Promise<int>> promises(rounds);
    std::thread producer([&] {
        for (Promise<int>& promise : promises) {
            promise.set_result(1);
        }
    });
    for (const Promise<int>& promise : promises) {
        promise.get_future().async_result_for(
            20us,
            asio::bind_executor(
                pool,
                [&](const std::exception_ptr& error, int) {
                    ++(holds<TimeoutError>(error) ? timeouts : values);
                }
            )
        );
    }
    producer.join();
    pool.join();
    BOOST_TEST(values + timeouts == rounds);
}

BOOST_AUTO_TEST_CASE(cancelling_that_reaches_the_call_races_with_its_begin_and_end) {
    constexpr int rounds = 5000;
    ThreadPoolExecutor pool(2);
    asio::thread_pool context(threads);
    struct Each {
        asio::cancellation_signal signal;
        Future<int> future;
    };
    std::deque<Each> all(rounds);
    std::atomic<int> upcalls{0};
    for (Each& each : all) {
        const auto strand = asio::make_strand(context);
        each.future = pool.submit([](const std::stop_token&) { return 1; });
        asio::post(strand, [&, strand] {
            cancel_on_abort(each.future)(asio::bind_cancellation_slot(
                each.signal.slot(),
                asio::bind_executor(strand, [&](const std::exception_ptr&, int) { ++upcalls; })
            ));
            asio::post(strand, [&] { each.signal.emit(asio::cancellation_type::terminal); });
        });
    }
    context.join();
    pool.shutdown();
    BOOST_TEST(upcalls == rounds);
    for (const Each& each : all) {
        BOOST_REQUIRE((each.future.cancelled() || each.future.result() == 1));
    }
}

BOOST_AUTO_TEST_CASE(operators_on_strands_race_with_tasks) {
    using namespace asio::experimental::awaitable_operators;
    constexpr int rounds = 3000;
    ThreadPoolExecutor pool(threads);
    std::vector<Future<int>> futures;
    for (int i = 0; i < rounds; ++i) {
        futures.push_back(pool.submit([&pool]() -> asio::awaitable<int> {
            asio::steady_timer timer(co_await asio::this_coro::executor, 10us);
            const auto one = pool.submit([] { return 1; });
            const auto two = pool.submit([] { return 1; });
            co_await (
                one.async_result() || cancel_on_abort(two)(asio::use_awaitable) ||
                timer.async_wait(asio::use_awaitable)
            );
            co_return 1;
        }));
    }
    int sum = 0;
    for (const auto& future : futures) {
        sum += future.result();
    }
    BOOST_TEST(sum == rounds);
}

BOOST_AUTO_TEST_CASE(requests_to_stop_race_with_the_end_of_coroutines) {
    constexpr int rounds = 5000;
    ThreadPoolExecutor pool(threads);
    std::vector<Future<void>> futures;
    for (int i = 0; i < rounds; ++i) {
        futures.push_back(pool.submit([](const std::stop_token&) -> asio::awaitable<void> {
            asio::steady_timer timer(co_await asio::this_coro::executor, 10us);
            co_await timer.async_wait(asio::use_awaitable);
        }));
        if (i >= 4) {
            futures[static_cast<std::size_t>(i) - 4].request_stop();
        }
    }
    for (const auto& future : futures) {
        const std::exception_ptr error = future.exception();
        BOOST_REQUIRE((error == nullptr || is_aborted(error)));
    }
}

BOOST_AUTO_TEST_CASE(coroutines_elsewhere_race_with_the_end) {
    constexpr int rounds = 20'000;
    ThreadPoolExecutor pool(2);
    std::atomic<int> sum{0};
    std::latch ended(rounds);
    const auto wait_for = [&](Future<int> future) -> Detached {
        sum += co_await std::move(future);
        ended.count_down();
    };
    for (int i = 0; i < rounds; ++i) {
        wait_for(pool.submit([] { return 1; }));
    }
    ended.wait();
    BOOST_TEST(sum == rounds);
}

BOOST_AUTO_TEST_SUITE_END()
