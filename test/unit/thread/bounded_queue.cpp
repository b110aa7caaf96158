#include <cofutures/on_full.hpp>

#define BOOST_TEST_MODULE bounded_queue
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include "support/eventually.hpp"
#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <future>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using cofutures::test::eventually;
using cofutures::test::Gate;
using cofutures::test::generous;
using cofutures::test::LeakCheck;

// Handlers without an executor are run by threads of Asio's, which stay once they were needed.
struct LeakCheckBesideAsio : LeakCheck {
    void setup() {
        Gate started;
        asio::post(asio::system_executor(), [&] { started.open(); });
        started.wait();
        LeakCheck::setup();
    }
};
BOOST_TEST_GLOBAL_FIXTURE(LeakCheckBesideAsio);

namespace {

// A pool with one thread, which is busy until it is let go.
class BusyPool {
public:
    explicit BusyPool(ThreadPoolOptions options) : pool(with_one_thread(std::move(options))) {
        Gate began;
        pool.submit([this, &began] {
            began.open();
            may_go_on.wait();
        });
        began.wait();
    }
    BusyPool(const BusyPool&) = delete;
    BusyPool& operator=(const BusyPool&) = delete;
    ~BusyPool() { may_go_on.open(); }

    Gate may_go_on;
    ThreadPoolExecutor pool;

private:
    static ThreadPoolOptions with_one_thread(ThreadPoolOptions options) {
        options.max_workers = 1;
        return options;
    }
};

// An async_submit whose outcome a test looks at.
struct Waiting {
    template <class Fn>
    Waiting(ThreadPoolExecutor& pool, Fn fn) {
        pool.async_submit(
            [this](std::exception_ptr failed, Future<void> submitted) {
                error = failed;
                future = std::move(submitted);
                completed.open();
            },
            std::move(fn)
        );
    }

    template <class Error>
    [[nodiscard]] bool failed_with() const {
        completed.wait();
        try {
            std::rethrow_exception(error);
        } catch (const Error&) {
            return true;
        }
    }

    Gate completed;
    std::exception_ptr error;
    Future<void> future;
};

const auto nothing = [] {
};

}  // namespace

BOOST_AUTO_TEST_SUITE(bounded_queue)

BOOST_AUTO_TEST_CASE(the_bound_must_be_positive) {
    try {
        const ThreadPoolExecutor pool({.max_queue = 0});
        BOOST_ERROR("it was accepted");
    } catch (const std::invalid_argument& error) {
        BOOST_TEST(error.what() == std::string("max_queue must be greater than 0"));
    }
}

BOOST_AUTO_TEST_CASE(a_full_queue_rejects) {
    BusyPool busy({.max_queue = 2, .on_full = OnFull::reject});
    const auto first = busy.pool.submit(nothing);
    const auto second = busy.pool.submit(nothing);
    BOOST_CHECK_THROW(busy.pool.submit(nothing), QueueFullError);
    BOOST_TEST(!busy.pool.try_submit(nothing).has_value());
    BOOST_TEST(busy.pool.stats().queued == 2U);
    busy.may_go_on.open();
    second.result();
    busy.pool.submit(nothing).result();
}

BOOST_AUTO_TEST_CASE(try_submit_gives_nothing_when_full_and_a_future_when_not) {
    BusyPool busy({.max_queue = 1});
    auto taken = busy.pool.try_submit({.name = "taken"}, [] { return 7; });
    BOOST_REQUIRE(taken.has_value());
    BOOST_TEST(!busy.pool.try_submit(nothing).has_value());
    busy.may_go_on.open();
    BOOST_TEST(taken->result() == 7);
}

BOOST_AUTO_TEST_CASE(without_a_bound_try_submit_always_takes) {
    ThreadPoolExecutor pool(1);
    BOOST_TEST(pool.try_submit([] { return 1; }).value().result() == 1);
}

BOOST_AUTO_TEST_CASE(submit_blocks_until_there_is_room) {
    BusyPool busy({.max_queue = 1});
    busy.pool.submit(nothing);
    auto blocked =
        std::async(std::launch::async, [&] { return busy.pool.submit([] { return 3; }); });
    BOOST_TEST((blocked.wait_for(1ms) == std::future_status::timeout));
    BOOST_TEST(busy.pool.stats().submitted == 2U);
    busy.may_go_on.open();
    BOOST_TEST(blocked.get().result() == 3);
}

BOOST_AUTO_TEST_CASE(a_cancelled_task_makes_room_at_once) {
    BusyPool busy({.max_queue = 1});
    auto queued = busy.pool.submit(nothing);
    BOOST_TEST(!busy.pool.try_submit(nothing).has_value());
    queued.cancel();
    auto second = busy.pool.try_submit(nothing);
    BOOST_REQUIRE(second.has_value());
    BOOST_TEST(!busy.pool.try_submit(nothing).has_value());
    Waiting waiting(busy.pool, nothing);
    second->cancel();
    waiting.completed.wait();
    BOOST_TEST(!waiting.error);
    busy.may_go_on.open();
    waiting.future.result();
}

BOOST_AUTO_TEST_CASE(a_task_that_runs_in_place_makes_room) {
    ThreadPoolExecutor pool({.max_workers = 1, .max_queue = 1, .on_full = OnFull::reject});
    pool.submit([&] {
            const auto inner = pool.submit([&] {
                BOOST_TEST(pool.try_submit(nothing).has_value());
                BOOST_TEST(!pool.try_submit(nothing).has_value());
            });
            BOOST_CHECK_THROW(pool.submit(nothing), QueueFullError);
            inner.result();
        }
    ).result();
}

BOOST_AUTO_TEST_CASE(a_task_of_the_pool_goes_over_the_bound) {
    ThreadPoolExecutor pool({.max_workers = 1, .max_queue = 1});
    pool.submit([&] {
            std::vector<Future<int>> futures;
            for (int i = 0; i < 10; ++i) {
                futures.push_back(pool.submit([i] { return i; }));
            }
            BOOST_TEST(futures.back().result() == 9);
        }
    ).result();
}

BOOST_AUTO_TEST_CASE(waiters_are_taken_in_the_order_in_which_they_came) {
    BusyPool busy({.max_queue = 1});
    std::vector<int> order;
    busy.pool.submit([&] { order.push_back(0); });
    Waiting first(busy.pool, [&] { order.push_back(1); });
    auto second =
        std::async(std::launch::async, [&] { busy.pool.submit([&] { order.push_back(2); }); });
    BOOST_TEST((second.wait_for(20ms) == std::future_status::timeout));
    Waiting third(busy.pool, [&] { order.push_back(3); });
    BOOST_TEST(!busy.pool.try_submit(nothing).has_value());
    busy.may_go_on.open();
    third.completed.wait();
    third.future.result();
    second.get();
    BOOST_TEST(order == (std::vector<int>{0, 1, 2, 3}));
}

BOOST_AUTO_TEST_CASE(a_waiter_that_was_cancelled_is_skipped) {
    BusyPool busy({.max_queue = 1});
    busy.pool.submit(nothing);
    asio::io_context context;
    asio::cancellation_signal signal;
    bool aborted = false;
    bool ran = false;
    busy.pool.async_submit(
        asio::bind_cancellation_slot(
            signal.slot(),
            asio::bind_executor(
                context, [&](std::exception_ptr error, Future<void>) { aborted = error != nullptr; }
            )
        ),
        [&] { ran = true; }
    );
    Waiting next(busy.pool, nothing);
    signal.emit(asio::cancellation_type::total);
    context.run_for(generous);
    BOOST_TEST(aborted);
    busy.may_go_on.open();
    next.completed.wait();
    next.future.result();
    busy.pool.shutdown();
    BOOST_TEST(!ran);
    BOOST_TEST(busy.pool.stats().submitted == 3U);
}

BOOST_AUTO_TEST_CASE(async_submit_completes_at_once_if_there_is_room) {
    ThreadPoolExecutor pool({.max_workers = 1, .max_queue = 1});
    auto future = pool.async_submit(
                          asio::use_future, [](int i) { return i; }, 5
    )
                      .get();
    BOOST_TEST(future.result() == 5);
}

BOOST_AUTO_TEST_CASE(each_start_of_a_deferred_async_submit_is_a_call_of_its_own) {
    BusyPool busy({.max_queue = 1});
    std::atomic<int> calls{0};
    std::string name(100, 'n');
    const auto plain = busy.pool.async_submit(asio::deferred, [&] { return ++calls; });
    const auto named =
        busy.pool.async_submit(asio::deferred, TaskOptions{.name = name}, [&] { return ++calls; });
    name.assign(100, 'x');
    std::vector<std::future<Future<int>>> taken;
    for (int i = 0; i < 2; ++i) {
        taken.push_back(plain(asio::use_future));
        taken.push_back(named(asio::use_future));
    }
    busy.may_go_on.open();
    int sum = 0;
    for (auto& one : taken) {
        sum += one.get().result(generous);
    }
    BOOST_TEST(sum == 1 + 2 + 3 + 4);
}

BOOST_AUTO_TEST_CASE(async_submit_gives_what_copying_the_call_throws) {
    struct Bomb {
        Bomb() = default;
        Bomb(const Bomb&) { throw std::runtime_error("not copied"); }
        void operator()() const {}
    };
    ThreadPoolExecutor pool(1);
    const Bomb bomb;
    auto taken = pool.async_submit(asio::use_future, bomb);
    BOOST_CHECK_EXCEPTION(taken.get(), std::runtime_error, [](const auto& error) {
        return std::string(error.what()) == "not copied";
    });
    BOOST_TEST(pool.stats().submitted == 0U);
}

BOOST_AUTO_TEST_CASE(shutdown_refuses_those_that_wait) {
    for (const bool cancel : {false, true}) {
        BusyPool busy({.max_queue = 1});
        const auto queued = busy.pool.submit(nothing);
        Waiting waiting(busy.pool, nothing);
        auto blocked = std::async(std::launch::async, [&] { busy.pool.submit(nothing); });
        BOOST_TEST((blocked.wait_for(5ms) == std::future_status::timeout));
        busy.pool.shutdown(false, cancel);
        BOOST_TEST(waiting.failed_with<ShutdownError>());
        BOOST_CHECK_THROW(blocked.get(), ShutdownError);
        BOOST_TEST(queued.cancelled() == cancel);
    }
}

BOOST_AUTO_TEST_CASE(a_pool_that_breaks_refuses_those_that_wait) {
    Gate may_fail;
    ThreadPoolExecutor pool({
        .max_workers = 1,
        .initializer =
            [&] {
                may_fail.wait();
                throw std::runtime_error("no");
            },
        .max_queue = 1,
    });
    const auto queued = pool.submit(nothing);
    Waiting waiting(pool, nothing);
    may_fail.open();
    BOOST_TEST(waiting.failed_with<BrokenThreadPool>());
    BOOST_CHECK_THROW(queued.result(), BrokenThreadPool);
}

BOOST_AUTO_TEST_CASE(a_map_does_not_hang_and_needs_no_room) {
    for (const OnFull on_full : {OnFull::block, OnFull::reject}) {
        BusyPool busy({.max_queue = 1, .on_full = on_full});
        busy.pool.submit(nothing);
        std::vector<int> inputs(1000);
        std::iota(inputs.begin(), inputs.end(), 0);
        auto results = busy.pool.map([](int i) { return i; }, inputs);
        busy.may_go_on.open();
        int sum = 0;
        for (const int i : results) {
            sum += i;
        }
        BOOST_TEST(sum == 999 * 1000 / 2);
        // A task of the map may still stand in the queue, to find that nothing is left to do.
        BOOST_REQUIRE(eventually([&] { return busy.pool.stats().queued == 0; }));
        const auto nested = busy.pool.submit([&] {
            int inner = 0;
            for (const int i : busy.pool.map([](int n) { return n; }, inputs)) {
                inner += i;
            }
            return inner;
        });
        BOOST_TEST(nested.result() == sum);
    }
}

BOOST_AUTO_TEST_CASE(no_more_tasks_wait_to_begin_than_the_bound_says) {
    constexpr std::size_t bound = 4;
    constexpr int rounds = 2000;
    ThreadPoolExecutor pool({.max_workers = 2, .max_queue = bound});
    std::atomic<int> submitting{3};
    const auto submitter = [&](auto submit) {
        return std::thread([&, submit] {
            for (int i = 0; i < rounds; ++i) {
                submit();
            }
            --submitting;
        });
    };
    std::thread blocks = submitter([&] { pool.submit(nothing); });
    std::thread tries = submitter([&] {
        if (auto taken = pool.try_submit(nothing)) {
            taken->cancel();
        }
    });
    std::thread waits = submitter([&] { pool.async_submit(asio::use_future, nothing).get(); });
    std::size_t longest = 0;
    bool adds_up = true;
    while (submitting != 0) {
        const ExecutorStats stats = pool.stats();
        longest = std::max(longest, stats.queued);
        adds_up = adds_up && stats.submitted == stats.queued + stats.running + stats.completed +
                                                    stats.failed + stats.cancelled;
    }
    blocks.join();
    tries.join();
    waits.join();
    BOOST_TEST(longest <= bound);
    BOOST_TEST(adds_up);
    pool.shutdown();
    BOOST_TEST(pool.stats().queued == 0U);
}

BOOST_AUTO_TEST_CASE(priorities_hold_in_a_bounded_queue) {
    BusyPool busy({.max_queue = 3});
    std::vector<int> order;
    for (const int priority : {-1, 0, 1}) {
        busy.pool.submit({.priority = priority}, [&order, priority] { order.push_back(priority); });
    }
    busy.may_go_on.open();
    busy.pool.shutdown();
    BOOST_TEST(order == (std::vector<int>{1, 0, -1}));
}

BOOST_AUTO_TEST_SUITE_END()
