// Coroutines that are not Asio's.
#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE co_await_elsewhere
#include <boost/test/unit_test.hpp>

#include "support/asio_test.hpp"
#include "support/gate.hpp"
#include "support/object_observer.hpp"

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace cofutures;
using cofutures::test::an_error;
using cofutures::test::Gate;
using cofutures::test::LeakCheck;
using cofutures::test::NoDefault;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// The least of a coroutine: runs at once, and is owned by this object to the end.
class Job {
public:
    struct promise_type {
        std::exception_ptr error;

        Job get_return_object() {
            return Job(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { error = std::current_exception(); }
    };

    Job(Job&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    ~Job() { abandon(); }

    [[nodiscard]] bool ended() const { return coroutine_.done(); }
    [[nodiscard]] std::exception_ptr error() const { return coroutine_.promise().error; }
    void abandon() {
        if (coroutine_) {
            std::exchange(coroutine_, nullptr).destroy();
        }
    }

private:
    explicit Job(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}

    std::coroutine_handle<promise_type> coroutine_;
};

template <class T>
Job take_into(std::optional<T>& seen, Future<T> future) {
    seen.emplace(co_await std::move(future));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(co_await_elsewhere)

BOOST_AUTO_TEST_CASE(gives_the_value_when_it_is_there) {
    Promise<int> promise;
    std::optional<int> seen;
    const Job job = take_into(seen, promise.get_future());
    BOOST_TEST(!job.ended());
    promise.set_result(3);
    BOOST_TEST(job.ended());
    BOOST_TEST(seen.value() == 3);
}

BOOST_AUTO_TEST_CASE(does_not_wait_for_what_is_done) {
    Promise<int> promise;
    promise.set_result(4);
    std::optional<int> seen;
    const Job job = take_into(seen, promise.get_future());
    BOOST_TEST(job.ended());
    BOOST_TEST(seen.value() == 4);
}

BOOST_AUTO_TEST_CASE(takes_handles_of_every_kind_and_values_of_every_type) {
    int target = 0;
    Promise<int> number;
    Promise<void> nothing;
    Promise<int&> reference;
    Promise<std::unique_ptr<int>> moved;
    Promise<NoDefault> no_default;
    int steps = 0;
    const auto waits = [&]() -> Job {
        auto future = number.get_future();
        const auto constant = future;
        const int sum = co_await future + co_await constant + co_await std::move(future);
        BOOST_TEST(sum == 6);
        ++steps;
        co_await nothing.get_future();
        ++steps;
        int& same = co_await reference.get_future();
        BOOST_TEST(&same == &target);
        const std::unique_ptr<int> pointer = co_await moved.get_future();
        BOOST_TEST(*pointer == 5);
        const NoDefault value = co_await no_default.get_future();
        BOOST_TEST(value.value == 6);
        ++steps;
    };
    const Job job = waits();
    number.set_result(2);
    BOOST_TEST(steps == 1);
    nothing.set_result();
    BOOST_TEST(steps == 2);
    reference.set_result(target);
    moved.set_result(std::make_unique<int>(5));
    no_default.set_result(NoDefault(6));
    BOOST_TEST(job.ended());
    BOOST_TEST(steps == 3);
}

BOOST_AUTO_TEST_CASE(throws_what_the_call_threw_or_that_it_was_cancelled) {
    Promise<int> failing;
    Promise<int> cancelled;
    std::optional<int> seen;
    const Job first = take_into(seen, failing.get_future());
    const Job second = take_into(seen, cancelled.get_future());
    failing.set_exception(an_error());
    cancelled.get_future().cancel();
    BOOST_CHECK_THROW(std::rethrow_exception(first.error()), std::runtime_error);
    BOOST_CHECK_THROW(std::rethrow_exception(second.error()), CancelledError);
    const Job third = take_into(seen, Future<int>());
    BOOST_CHECK_THROW(std::rethrow_exception(third.error()), InvalidStateError);
}

BOOST_AUTO_TEST_CASE(of_a_sole_rvalue_moves) {
    ObjectCounts counts;
    {
        Promise<Observed> promise;
        auto future = promise.get_future();
        std::optional<Observed> seen;
        const Job job = take_into(seen, std::move(future));
        promise.set_result(Observed(counts, 1));
        BOOST_TEST(seen->value() == 1);
        BOOST_TEST(counts.copies == 0);
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(resumes_on_the_thread_that_ends_the_future_after_its_callbacks) {
    Promise<int> promise;
    const auto future = promise.get_future();
    bool called_back = false;
    std::thread::id resumed_on;
    const auto waits = [&]() -> Job {
        co_await future;
        BOOST_TEST(called_back);
        resumed_on = std::this_thread::get_id();
    };
    const Job job = waits();
    future.add_done_callback([&] { called_back = true; });
    std::thread producer([&] { promise.set_result(1); });
    const std::thread::id ended_on = producer.get_id();
    producer.join();
    BOOST_CHECK((resumed_on == ended_on));
}

BOOST_AUTO_TEST_CASE(frame_that_is_abandoned_while_it_waits_is_forgotten) {
    ObjectCounts counts;
    Promise<int> promise;
    const auto waits = [&](Observed) -> Job {
        co_await promise.get_future();
        BOOST_ERROR("the frame is gone");
    };
    for (int i = 0; i < 100; ++i) {
        Job job = waits(Observed(counts));
        BOOST_TEST(counts.live() == 1);
        job.abandon();
        BOOST_TEST(counts.live() == 0);
    }
    promise.set_result(1);
}

BOOST_AUTO_TEST_CASE(frame_may_be_abandoned_by_a_callback_of_the_same_future) {
    // The future has ended, and has yet to tell the coroutine.
    Promise<int> promise;
    const auto waits = [&]() -> Job {
        co_await promise.get_future();
        BOOST_ERROR("the frame is gone");
    };
    std::optional<Job> job(waits());
    std::optional<Job> other;
    promise.get_future().add_done_callback([&] { job.reset(); });
    const auto abandons = [&]() -> Job {
        co_await promise.get_future();
        other.reset();
    };
    const Job last = abandons();
    other.emplace(waits());
    promise.set_result(1);
    BOOST_CHECK(!job);
    BOOST_CHECK(!other);
    BOOST_TEST(last.ended());
}

BOOST_AUTO_TEST_CASE(frame_may_outlive_every_other_handle) {
    std::optional<int> seen;
    std::optional<Job> job;
    {
        Promise<int> promise;
        job.emplace(take_into(seen, promise.get_future()));
    }
    BOOST_CHECK_THROW(std::rethrow_exception(job->error()), BrokenExecutor);
}

BOOST_AUTO_TEST_CASE(many_coroutines_may_wait_for_one_future) {
    Promise<int> promise;
    const auto future = promise.get_future();
    int sum = 0;
    const auto waits = [&]() -> Job {
        sum += co_await future;
    };
    std::vector<Job> jobs;
    for (int i = 0; i < 1000; ++i) {
        jobs.push_back(waits());
    }
    std::thread([&] { promise.set_result(2); }).join();
    BOOST_TEST(sum == 2000);
}

BOOST_AUTO_TEST_SUITE_END()
