// CPython's test_concurrent_futures/test_wait.py. A cancelled future is done at once here, so that
// the two cases which hold a cancelled but unnoticed future expect it among the done ones.

#include <cofutures/wait.hpp>

#define BOOST_TEST_MODULE test_wait
#include <boost/test/unit_test.hpp>

#include <cofutures/thread_pool_executor.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

using namespace cofutures;
using namespace std::chrono_literals;
using cofutures::test::Gate;
using cofutures::test::generous;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

using Futures = std::vector<Future<int>>;

Future<int> cancelled_future() {
    const Promise<int> promise;
    promise.get_future().cancel();
    return promise.get_future();
}
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

// A pool, and a gate that whatever blocks in it waits for.
struct WithExecutor {
    ~WithExecutor() { release.open(); }

    Future<int> submit_blocked() {
        return executor.submit([this] {
            release.wait();
            return 0;
        });
    }

    ThreadPoolExecutor executor{5};
    Gate release;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(test_wait, WithExecutor)

BOOST_AUTO_TEST_CASE(test_20369) {
    const auto future = executor.submit(mul, 1, 2);
    const auto [done, not_done] = wait({future, future}, ALL_COMPLETED);
    BOOST_CHECK((done == Futures{future}));
    BOOST_TEST(not_done.empty());
}

BOOST_AUTO_TEST_CASE(test_first_completed) {
    const auto future1 = executor.submit(mul, 21, 2);
    const auto future2 = submit_blocked();
    const auto cancelled = cancelled_future();
    const auto [done, not_done] = wait({future1, future2}, FIRST_COMPLETED);
    BOOST_CHECK((done == Futures{future1}));
    BOOST_CHECK((not_done == Futures{future2}));
    // Python has it in not_done.
    const auto found = wait({cancelled, future1, future2}, FIRST_COMPLETED);
    BOOST_CHECK((found.done == Futures{cancelled, future1}));
    BOOST_CHECK((found.not_done == Futures{future2}));
}

BOOST_AUTO_TEST_CASE(test_first_completed_some_already_completed) {
    const auto future1 = submit_blocked();
    const auto notified = cancelled_and_notified_future();
    const auto successful = successful_future();
    const auto [finished, pending] = wait({notified, successful, future1}, FIRST_COMPLETED);
    BOOST_CHECK((finished == Futures{notified, successful}));
    BOOST_CHECK((pending == Futures{future1}));
}

BOOST_AUTO_TEST_CASE(test_first_exception) {
    Gate wait_was_called;
    const auto future1 = executor.submit(mul, 2, 21);
    const auto future2 = executor.submit([&]() -> int {
        wait_was_called.wait();
        future1.wait();
        throw std::runtime_error("this is an exception");
    });
    const auto future3 = submit_blocked();
    wait_was_called.open();
    const auto [finished, pending] = wait({future1, future2, future3}, FIRST_EXCEPTION);
    BOOST_CHECK((finished == Futures{future1, future2}));
    BOOST_CHECK((pending == Futures{future3}));
}

BOOST_AUTO_TEST_CASE(test_first_exception_some_already_complete) {
    const auto future1 = executor.submit([]() -> int { throw std::domain_error("divmod(21, 0)"); });
    const auto future2 = submit_blocked();
    const auto successful = successful_future();
    const auto cancelled = cancelled_future();
    const auto notified = cancelled_and_notified_future();
    const auto [finished, pending] =
        wait({successful, cancelled, notified, future1, future2}, FIRST_EXCEPTION);
    // Python has `cancelled` in pending.
    BOOST_CHECK((finished == Futures{successful, cancelled, notified, future1}));
    BOOST_CHECK((pending == Futures{future2}));
}

BOOST_AUTO_TEST_CASE(test_first_exception_one_already_failed) {
    const auto future1 = submit_blocked();
    const auto failed = exception_future();
    const auto [finished, pending] = wait({failed, future1}, FIRST_EXCEPTION);
    BOOST_CHECK((finished == Futures{failed}));
    BOOST_CHECK((pending == Futures{future1}));
}

BOOST_AUTO_TEST_CASE(test_all_completed) {
    const auto future1 = executor.submit([]() -> int { throw std::domain_error("divmod(2, 0)"); });
    const auto future2 = executor.submit(mul, 2, 21);
    const Futures all{
        successful_future(), cancelled_and_notified_future(), exception_future(), future1, future2};
    const auto [finished, pending] = wait(all, ALL_COMPLETED);
    BOOST_CHECK((finished == all));
    BOOST_TEST(pending.empty());
}

BOOST_AUTO_TEST_CASE(test_timeout) {
    const auto future1 = executor.submit(mul, 6, 7);
    const auto future2 = submit_blocked();
    future1.wait();
    const Futures done{
        cancelled_and_notified_future(), exception_future(), successful_future(), future1};
    Futures all = done;
    all.push_back(future2);
    const auto [finished, pending] = wait(all, 50ms, ALL_COMPLETED);
    BOOST_CHECK((finished == done));
    BOOST_CHECK((pending == Futures{future2}));
}

BOOST_AUTO_TEST_CASE(test_pending_calls_race) {
    // All futures end while wait() is being entered.
    for (int round = 0; round < 50; ++round) {
        Gate event;
        std::vector<Future<void>> futures;
        for (int i = 0; i < 100; ++i) {
            futures.push_back(executor.submit([&event] { event.wait(); }));
        }
        event.open();
        const auto [finished, pending] = wait(futures, ALL_COMPLETED);
        BOOST_TEST_REQUIRE(finished.size() == 100u);
    }
}

BOOST_AUTO_TEST_SUITE_END()
