#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE lifetime
#include <boost/test/unit_test.hpp>

#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

using namespace cofutures;
using cofutures::test::LeakCheck;
using cofutures::test::MoveOnlyObserved;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// A future done with an observed value; its promise is gone.
Future<Observed> done_with(ObjectCounts& counts, int value = 7) {
    Promise<Observed> promise;
    auto future = promise.get_future();
    promise.set_result(Observed(counts, value));
    counts.moves = 0;  // that of the temporary into the state
    counts.destroyed = 0;
    return future;
}

std::exception_ptr an_error() {
    return std::make_exception_ptr(std::runtime_error("failed"));
}

// Calls `when_destroyed` once, when the object that was not moved from ends.
template <class Fn>
class AtEnd {
public:
    explicit AtEnd(Fn when_destroyed) : when_destroyed_(std::move(when_destroyed)) {}
    AtEnd(AtEnd&& other) noexcept
        : when_destroyed_(std::exchange(other.when_destroyed_, std::nullopt)) {}
    AtEnd& operator=(AtEnd&&) = delete;
    ~AtEnd() {
        if (when_destroyed_) {
            (*when_destroyed_)();
        }
    }

private:
    std::optional<Fn> when_destroyed_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(copies_and_moves)

BOOST_AUTO_TEST_CASE(set_result_moves_once_and_a_reference_costs_nothing) {
    ObjectCounts counts;
    {
        Promise<Observed> promise;
        const auto future = promise.get_future();
        promise.set_result(Observed(counts, 7));
        BOOST_TEST(counts.moves == 1);
        const Observed& value = future.result();
        BOOST_TEST(value.value() == 7);
        BOOST_TEST(&value == &future.result());
        BOOST_TEST(counts.copies == 0);
        BOOST_TEST(counts.moves == 1);
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(an_rvalue_sole_handle_moves_once) {
    ObjectCounts counts;
    auto future = done_with(counts);
    const Observed value = std::move(future).result();
    BOOST_TEST(value.value() == 7);
    BOOST_TEST(counts.copies == 0);
    BOOST_TEST(counts.moves == 1);
}

BOOST_AUTO_TEST_CASE(the_promise_is_no_handle) {
    ObjectCounts counts;
    Promise<Observed> promise;
    auto future = promise.get_future();
    promise.set_result(Observed(counts, 7));
    BOOST_TEST(std::move(future).result().value() == 7);
    BOOST_TEST(counts.copies == 0);
    BOOST_CHECK_THROW(promise.get_future().result(), InvalidStateError);
}

BOOST_AUTO_TEST_CASE(an_rvalue_handle_among_others_copies_once) {
    ObjectCounts counts;
    auto future = done_with(counts);
    const auto other = future;
    const Observed value = std::move(future).result();
    BOOST_TEST(value.value() == 7);
    BOOST_TEST(counts.copies == 1);
    BOOST_TEST(counts.moves == 0);
    BOOST_TEST(other.result().value() == 7);
}

BOOST_AUTO_TEST_CASE(a_value_moved_out_cannot_be_read_again) {
    ObjectCounts counts;
    auto future = done_with(counts);
    static_cast<void>(std::move(future).result());
    BOOST_CHECK_THROW(future.result(), InvalidStateError);
    BOOST_CHECK_THROW(std::move(future).result(), InvalidStateError);
    BOOST_TEST(future.done());
    BOOST_CHECK(future.exception() == nullptr);
}

BOOST_AUTO_TEST_CASE(a_move_only_value_is_moved_whoever_else_can_read_it) {
    Promise<std::unique_ptr<int>> promise;
    auto future = promise.get_future();
    const auto other = future;
    promise.set_result(std::make_unique<int>(5));
    BOOST_TEST(*other.result() == 5);
    const std::unique_ptr<int> taken = std::move(future).result();
    BOOST_TEST(*taken == 5);
    BOOST_CHECK_THROW(other.result(), InvalidStateError);
}

BOOST_AUTO_TEST_CASE(then_by_reference_neither_copies_nor_moves_while_others_read) {
    ObjectCounts counts;
    const auto future = done_with(counts);
    BOOST_TEST(future.then([](const Observed& value) { return value.value(); }).result() == 7);
    BOOST_TEST(counts.copies == 0);
    BOOST_TEST(counts.moves == 0);
}

BOOST_AUTO_TEST_CASE(then_by_value_copies_once_while_others_read) {
    ObjectCounts counts;
    const auto future = done_with(counts);
    BOOST_TEST(future.then([](Observed value) { return value.value(); }).result() == 7);
    BOOST_TEST(counts.copies == 1);
    BOOST_TEST(future.result().value() == 7);
}

BOOST_AUTO_TEST_CASE(links_of_a_chain_move_and_never_copy) {
    ObjectCounts counts;
    Promise<int> promise;
    auto last = promise.get_future().then([&](int value) { return Observed(counts, value); }
    ).then([](Observed value) {
         return value;
     }).then([](Observed&& value) { return std::move(value); });
    promise.set_result(3);
    BOOST_TEST(std::move(last).result().value() == 3);
    BOOST_TEST(counts.copies == 0);
}

BOOST_AUTO_TEST_CASE(the_last_of_two_chains_takes_the_value) {
    ObjectCounts counts;
    Promise<int> promise;
    auto middle = promise.get_future().then([&](int value) { return Observed(counts, value); });
    const auto first = middle.then([](Observed value) { return value.value(); });
    const auto second = middle.then([](Observed value) { return value.value(); });
    middle = {};
    promise.set_result(3);
    BOOST_TEST(first.result() == 3);
    BOOST_TEST(second.result() == 3);
    BOOST_TEST(counts.copies == 1);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(values)

BOOST_AUTO_TEST_CASE(die_with_the_last_handle) {
    ObjectCounts counts;
    auto future = done_with(counts);
    auto other = future;
    future = {};
    BOOST_TEST(counts.live() == 1);
    other = {};
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(that_nobody_can_read_die_at_once) {
    ObjectCounts counts;
    Promise<int> promise;
    static_cast<void>(promise.get_future().then([&](int) { return Observed(counts); }));
    promise.set_result(1);
    BOOST_TEST(counts.made == 1);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(die_with_the_last_handle_although_a_slot_keeps_the_memory) {
    ObjectCounts counts;
    boost::asio::io_context context;
    boost::asio::cancellation_signal signal;
    Promise<Observed> promise;
    auto future = promise.get_future();
    future.async_wait(boost::asio::bind_cancellation_slot(
        signal.slot(), boost::asio::bind_executor(context, [](boost::system::error_code) {})
    ));
    promise.set_result(Observed(counts));
    promise = {};
    context.run();
    BOOST_TEST(counts.live() == 1);
    future = {};
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(die_once_whether_read_moved_dropped_or_replaced) {
    ObjectCounts counts;
    {
        Promise<MoveOnlyObserved> promise;
        auto future = promise.get_future();
        promise.set_result(MoveOnlyObserved(counts));
        static_cast<void>(std::move(future).result());
    }
    {
        Promise<MoveOnlyObserved> promise;
        const auto future = promise.get_future();
        promise.set_result(MoveOnlyObserved(counts));
    }
    {
        Promise<MoveOnlyObserved> promise;
        promise.set_result(MoveOnlyObserved(counts));
        BOOST_CHECK_THROW(promise.set_result(MoveOnlyObserved(counts)), InvalidStateError);
    }
    {
        Promise<MoveOnlyObserved> promise;
        promise.get_future().cancel();
        BOOST_CHECK_THROW(promise.set_result(MoveOnlyObserved(counts)), InvalidStateError);
    }
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(errors_die_with_the_last_handle) {
    ObjectCounts counts;
    struct Failure {
        Observed part;
    };
    Promise<int> promise;
    auto future = promise.get_future();
    promise.set_exception(std::make_exception_ptr(Failure{Observed(counts)}));
    promise = {};
    BOOST_TEST(counts.live() == 1);
    future = {};
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(functions)

BOOST_AUTO_TEST_CASE(of_callbacks_are_destroyed_after_the_call) {
    ObjectCounts counts;
    Promise<int> promise;
    const auto future = promise.get_future();
    future.add_done_callback([part = Observed(counts)] {});
    BOOST_TEST(counts.live() == 1);
    promise.set_result(1);
    BOOST_TEST(counts.live() == 0);
    future.add_done_callback([part = Observed(counts)] {});
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(of_chains_are_destroyed_before_the_chained_future_is_done) {
    for (const int outcome : {0, 1, 2, 3}) {
        ObjectCounts counts;
        Promise<int> promise;
        const auto future = promise.get_future();
        const auto chained = future.then([part = Observed(counts)](int value) { return value; });
        int live_when_done = -1;
        chained.add_done_callback([&] { live_when_done = counts.live(); });
        switch (outcome) {
        case 0:
            promise.set_result(1);
            break;
        case 1:
            promise.set_exception(an_error());
            break;
        case 2:
            future.cancel();
            break;
        default:
            chained.cancel();
        }
        BOOST_TEST(live_when_done == 0);
    }
}

BOOST_AUTO_TEST_CASE(of_a_cancelled_chain_may_ask_its_future_while_they_are_destroyed) {
    Promise<int> promise;
    Future<int> chained;
    bool was_cancelled = true;
    bool second_cancel = false;
    chained = promise.get_future().then([end = AtEnd([&] {
                                             was_cancelled = chained.cancelled();
                                             second_cancel = chained.cancel();
                                         })](int value) { return value; });
    BOOST_TEST(chained.cancel());
    BOOST_TEST(!was_cancelled);  // it is not done before its function is gone
    BOOST_TEST(second_cancel);
    BOOST_TEST(chained.cancelled());
}

BOOST_AUTO_TEST_CASE(of_a_cancelled_chain_may_own_its_last_handle) {
    Promise<int> promise;
    auto owner = std::make_shared<Future<int>>();
    *owner = promise.get_future().then([owner](int value) { return value; });
    const Future<int>* chained = owner.get();
    owner.reset();
    BOOST_TEST(chained->cancel());
    promise.set_result(1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(handles)

BOOST_AUTO_TEST_CASE(the_last_may_be_dropped_by_a_callback_of_cancel) {
    Promise<int> promise;
    std::optional<Future<int>> chained = promise.get_future().then([](int value) { return value; });
    int calls = 0;
    chained->add_done_callback([&] {
        ++calls;
        chained.reset();
    });
    chained->add_done_callback([&] { ++calls; });
    chained->cancel();
    BOOST_TEST(calls == 2);
}

BOOST_AUTO_TEST_CASE(the_last_may_be_dropped_by_the_function_chained_on_it) {
    ObjectCounts counts;
    std::optional<Future<Observed>> future = done_with(counts);
    int seen = 0;
    static_cast<void>(future->then([&](const Observed& value) {
        future.reset();
        seen = value.value();
    }));
    BOOST_TEST(seen == 7);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(may_be_dropped_while_the_call_goes_on) {
    Promise<int> promise;
    static_cast<void>(promise.get_future());
    BOOST_TEST(promise.set_running_or_notify_cancel());
    BOOST_CHECK_NO_THROW(promise.set_result(1));
}

BOOST_AUTO_TEST_SUITE_END()
