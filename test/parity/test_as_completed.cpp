// CPython's test_concurrent_futures/test_as_completed.py.

#include <cofutures/as_completed.hpp>

#define BOOST_TEST_MODULE test_as_completed
#include <boost/test/unit_test.hpp>

#include <cofutures/thread_pool_executor.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <chrono>
#include <cstddef>
#include <forward_list>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

using Futures = std::vector<Future<int>>;
using FutureSet = std::unordered_set<Future<int>>;

Future<int> cancelled_and_notified_future() {
    Promise<int> promise;
    promise.get_future().cancel();
    promise.set_running_or_notify_cancel();
    return promise.get_future();
}
Future<int> exception_future() {
    Promise<int> promise;
    promise.set_exception(std::make_exception_ptr(std::system_error(EIO, std::generic_category())));
    return promise.get_future();
}
Future<int> successful_future() {
    Promise<int> promise;
    promise.set_result(42);
    return promise.get_future();
}

int mul(int a, int b) {
    return a * b;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(test_as_completed)

BOOST_AUTO_TEST_CASE(test_no_timeout) {
    ThreadPoolExecutor executor(5);
    const Futures all{
        cancelled_and_notified_future(),
        exception_future(),
        successful_future(),
        executor.submit(mul, 2, 21),
        executor.submit(mul, 7, 6)};
    FutureSet completed;
    for (Future<int> future : as_completed(all)) {
        completed.insert(future);
    }
    BOOST_CHECK((completed == FutureSet(all.begin(), all.end())));
}

BOOST_AUTO_TEST_CASE(test_future_times_out) {
    const Futures already_completed{
        cancelled_and_notified_future(), exception_future(), successful_future()};
    for (const auto timeout : {0ms, 100ms}) {
        ThreadPoolExecutor executor(5);
        Gate release;
        const auto slow = executor.submit([&release] {
            release.wait();
            return 0;
        });
        Futures all = already_completed;
        all.push_back(slow);
        Futures completed;
        bool timed_out = false;
        try {
            for (Future<int> future : as_completed(all, timeout)) {
                completed.push_back(future);
            }
        } catch (const TimeoutError&) {
            timed_out = true;
        }
        BOOST_TEST(timed_out);
        BOOST_CHECK((completed == already_completed));
        release.open();
    }
}

BOOST_AUTO_TEST_CASE(test_duplicate_futures) {
    // Python's is an iterator that repeats a future; what matters is that nothing is indexed.
    ThreadPoolExecutor executor(5);
    const auto future1 = executor.submit(mul, 2, 21);
    const std::forward_list<Future<int>> repeated(3, future1);
    Futures completed;
    for (Future<int> future : as_completed(repeated)) {
        completed.push_back(future);
    }
    BOOST_CHECK((completed == Futures{future1}));
}

BOOST_AUTO_TEST_CASE(test_free_reference_yielded_future) {
    // The values die with the loop variable, one after the other.
    ObjectCounts counts;
    constexpr int count = 10;
    std::vector<Promise<Observed>> promises(count);
    std::vector<Future<Observed>> futures;
    for (const auto& promise : promises) {
        futures.push_back(promise.get_future());
    }
    for (std::size_t i = 0; i < count / 2; ++i) {
        promises[i].set_result(Observed(counts));
    }
    const auto give_away_done = [&](auto range) {
        int given = 0;
        try {
            for (Future<Observed> future : range) {
                const int before = counts.live();
                future = Future<Observed>();
                BOOST_TEST(counts.live() == before - 1);
                ++given;
            }
        } catch (const TimeoutError&) {
        }
        return given;
    };
    {
        std::vector<Future<Observed>> given_away = std::move(futures);
        auto range = as_completed(std::move(given_away), 0s);
        for (std::size_t i = 0; i < count / 2; ++i) {
            promises[i] = Promise<Observed>();
        }
        BOOST_TEST(give_away_done(std::move(range)) == count / 2);
        BOOST_TEST(counts.live() == 0);
    }
    // One by one, as they end.
    futures.clear();
    for (const auto& promise : promises) {
        futures.push_back(promise.get_future());
    }
    auto range = as_completed(std::move(futures));
    for (auto& promise : promises) {
        promise.set_result(Observed(counts));
        promise = Promise<Observed>();
        const auto next = range.begin();
        BOOST_TEST(counts.live() == 1);
        const Future<Observed> taken = *next;
        BOOST_TEST(taken.done());
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(test_correct_timeout_exception_msg) {
    const Promise<int> pending;
    Promise<int> running;
    running.set_running_or_notify_cancel();
    const Futures futures{
        cancelled_and_notified_future(),
        pending.get_future(),
        running.get_future(),
        successful_future()};
    std::string message;
    try {
        for (Future<int> future : as_completed(futures, 0s)) {
            BOOST_TEST(future.done());
        }
    } catch (const TimeoutError& error) {
        message = error.what();
    }
    BOOST_TEST(message == "2 (of 4) futures unfinished");
}

BOOST_AUTO_TEST_SUITE_END()
