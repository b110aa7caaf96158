#include <cofutures/detail/task.hpp>

#define BOOST_TEST_MODULE task
#include <boost/test/unit_test.hpp>

#include <cofutures/future.hpp>

#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

using namespace cofutures;
using cofutures::detail::make_task;
using cofutures::detail::Submittable;
using cofutures::detail::TaskValue;
using cofutures::test::LeakCheck;
using cofutures::test::MoveOnlyObserved;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

// Runs a task at once, on this thread, and gives its future.
template <class... Args>
auto run(Args&&... args) {
    const auto task = make_task(std::forward<Args>(args)...);
    auto future = detail::FutureAccess::make(*task);
    task->run();
    return future;
}

struct Account {
    int balance = 5;
    int add(int amount) { return balance += amount; }
};

struct ThrowsOnCopy {
    ThrowsOnCopy() = default;
    ThrowsOnCopy(const ThrowsOnCopy& /*other*/) { throw std::runtime_error("copy"); }
    ThrowsOnCopy(ThrowsOnCopy&&) = default;
    void operator()() const {}
};

struct RunsOnceOnly {
    int operator()() && { return 1; }
    int operator()() & = delete;
};

struct alignas(128) Aligned {
    int value = 3;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(task)

BOOST_AUTO_TEST_CASE(the_future_has_the_type_that_the_call_gives) {
    static_assert(std::is_same_v<TaskValue<int (*)()>, int>);
    static_assert(std::is_same_v<TaskValue<void (*)()>, void>);
    static_assert(std::is_same_v<TaskValue<int& (*)()>, int&>);
    static_assert(std::is_same_v<TaskValue<const int& (*)()>, const int&>);
    static_assert(std::is_same_v<TaskValue<int && (*)()>, int>);
    static_assert(std::is_same_v<TaskValue<long (*)(std::stop_token, int), int>, long>);
    static_assert(std::is_same_v<TaskValue<int(Account::*), Account>, int>);
}

BOOST_AUTO_TEST_CASE(only_what_can_be_called_is_submittable) {
    static_assert(Submittable<int (*)(int), int>);
    static_assert(Submittable<int (&)(int), int>);
    static_assert(Submittable<int (*)(std::stop_token, int), int>);
    static_assert(Submittable<RunsOnceOnly>);
    static_assert(Submittable<void (*)(int&), std::reference_wrapper<int>>);
    static_assert(!Submittable<int (*)(int)>);
    static_assert(!Submittable<int (*)(int), std::string>);
    static_assert(!Submittable<void (*)(int&), int>);  // the copy is passed as an rvalue
    static_assert(!Submittable<int>);
}

BOOST_AUTO_TEST_CASE(gives_the_value_of_the_call) {
    BOOST_TEST(run([] { return 42; }).result() == 42);
    BOOST_TEST(run(std::plus<>(), 40, 2).result() == 42);
    run([] {}).result();
}

BOOST_AUTO_TEST_CASE(gives_the_very_object_that_a_reference_names) {
    int number = 1;
    BOOST_TEST(&run([&number]() -> int& { return number; }).result() == &number);
    BOOST_TEST(&run([&number]() -> const int& { return number; }).result() == &number);
}

BOOST_AUTO_TEST_CASE(calls_members) {
    Account account;
    BOOST_TEST(run(&Account::add, &account, 2).result() == 7);
    BOOST_TEST(run(&Account::add, std::ref(account), 3).result() == 10);
    BOOST_TEST(&run(&Account::balance, &account).result() == &account.balance);
    BOOST_TEST(run(&Account::add, account, 1).result() == 11);
    BOOST_TEST(account.balance == 10);
}

BOOST_AUTO_TEST_CASE(a_reference_wrapper_is_passed_as_a_reference) {
    std::string text;
    run([](std::string& out) { out = "written"; }, std::ref(text)).result();
    BOOST_TEST(text == "written");
}

BOOST_AUTO_TEST_CASE(callable_arguments_and_result_may_be_move_only) {
    auto future = run(
        [added = std::make_unique<int>(2)](std::unique_ptr<int> number) {
            *number += *added;
            return number;
        },
        std::make_unique<int>(40)
    );
    BOOST_TEST(*std::move(future).result() == 42);
}

BOOST_AUTO_TEST_CASE(the_callable_is_called_as_an_rvalue) {
    BOOST_TEST(run(RunsOnceOnly()).result() == 1);
}

BOOST_AUTO_TEST_CASE(an_argument_is_moved_into_the_task_and_from_there_into_the_call) {
    ObjectCounts counts;
    run([](Observed argument) { BOOST_TEST(argument.value() == 1); }, Observed(counts, 1)).result();
    BOOST_TEST(counts.copies == 0);
    BOOST_TEST(counts.moves == 2);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(the_result_is_built_where_it_stays) {
    ObjectCounts counts;
    const auto future = run([&counts] { return MoveOnlyObserved(counts, 9); });
    BOOST_TEST(future.result().value() == 9);
    BOOST_TEST(counts.moves == 0);
}

BOOST_AUTO_TEST_CASE(alignment_is_kept) {
    const auto future = run([](const Aligned& in) { return in; }, Aligned());
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(&future.result()) % alignof(Aligned) == 0u);
    BOOST_TEST(future.result().value == 3);
}

BOOST_AUTO_TEST_CASE(the_future_holds_whatever_was_thrown) {
    BOOST_CHECK_THROW(run([] { throw std::out_of_range("far"); }).result(), std::out_of_range);
    BOOST_CHECK_THROW(run([]() -> int { throw 7; }).result(), int);
    BOOST_CHECK_THROW(run([]() -> int& { throw std::string("text"); }).result(), std::string);
    BOOST_CHECK_THROW(run([] { return ThrowsOnCopy(ThrowsOnCopy()), throw 1, 0; }).result(), int);
}

BOOST_AUTO_TEST_CASE(a_result_that_cannot_be_made_is_an_error_of_the_call) {
    static const ThrowsOnCopy original;
    const auto future = run([]() -> ThrowsOnCopy { return original; });
    BOOST_CHECK_THROW(future.result(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_callable_that_cannot_be_copied_throws_to_the_caller_and_leaks_nothing) {
    const ThrowsOnCopy callable;
    ObjectCounts counts;
    const Observed argument(counts);
    BOOST_CHECK_THROW(
        make_task([](const Observed& /*a*/, const ThrowsOnCopy& /*b*/) {}, argument, callable),
        std::runtime_error
    );
    BOOST_TEST(counts.live() == 1);
}

BOOST_AUTO_TEST_CASE(callable_and_arguments_are_destroyed_before_the_future_is_done) {
    ObjectCounts counts;
    int live_in_callback = -1;
    const auto task =
        make_task([held = Observed(counts)](const Observed& /*argument*/) {}, Observed(counts));
    const auto future = detail::FutureAccess::make(*task);
    future.add_done_callback([&] { live_in_callback = counts.live(); });
    BOOST_TEST(counts.live() == 2);
    task->run();
    BOOST_TEST(live_in_callback == 0);
}

BOOST_AUTO_TEST_CASE(they_are_destroyed_before_a_failed_future_is_done) {
    ObjectCounts counts;
    int live_in_callback = -1;
    const auto task = make_task([held = Observed(counts)] { throw std::runtime_error("failed"); });
    const auto future = detail::FutureAccess::make(*task);
    future.add_done_callback([&] { live_in_callback = counts.live(); });
    task->run();
    BOOST_TEST(live_in_callback == 0);
    BOOST_CHECK_THROW(future.result(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_cancelled_task_destroys_its_callable_and_does_not_run) {
    ObjectCounts counts;
    bool ran = false;
    int live_in_callback = -1;
    const auto task = make_task([held = Observed(counts), &ran] { ran = true; });
    const auto future = detail::FutureAccess::make(*task);
    future.add_done_callback([&] { live_in_callback = counts.live(); });
    BOOST_TEST(future.cancel());
    BOOST_TEST(live_in_callback == 0);
    task->run();
    BOOST_TEST(!ran);
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(an_abandoned_task_destroys_its_callable_and_fails) {
    ObjectCounts counts;
    const auto task = make_task([held = Observed(counts)] {});
    const auto future = detail::FutureAccess::make(*task);
    BOOST_TEST(task->abandon(std::make_exception_ptr(BrokenExecutor("gone"))));
    BOOST_TEST(counts.live() == 0);
    task->run();
    BOOST_CHECK_THROW(future.result(), BrokenExecutor);
    BOOST_TEST(!task->abandon(nullptr));
}

BOOST_AUTO_TEST_CASE(a_task_that_is_dropped_destroys_its_callable) {
    ObjectCounts counts;
    make_task([](const Observed& /*unused*/) {}, Observed(counts));
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(runs_once) {
    int runs = 0;
    const auto task = make_task([&runs] { return ++runs; });
    task->run();
    task->run();
    BOOST_TEST(runs == 1);
}

BOOST_AUTO_TEST_CASE(a_result_that_nobody_can_read_is_destroyed_when_the_call_ends) {
    ObjectCounts counts;
    const auto task = make_task([&counts] { return Observed(counts); });
    detail::FutureAccess::make(*task);
    task->run();
    BOOST_TEST(counts.made == 1);
    BOOST_TEST(counts.live() == 0);
}

// --- std::stop_token ----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_stop_token_stands_in_front_of_the_arguments) {
    const auto future =
        run([](std::stop_token token, int a) { return token.stop_possible() ? a : 0; }, 4);
    BOOST_TEST(future.result() == 4);
}

BOOST_AUTO_TEST_CASE(a_callable_that_can_do_without_gets_no_stop_token) {
    BOOST_TEST(run([](auto... args) { return sizeof...(args); }).result() == 0u);
}

BOOST_AUTO_TEST_CASE(a_given_stop_token_is_an_argument_as_any_other) {
    std::stop_source source;
    const auto future =
        run([](std::stop_token token) { return token.stop_possible(); }, std::stop_token());
    BOOST_TEST(!future.result());
    BOOST_TEST(!future.request_stop());
}

BOOST_AUTO_TEST_CASE(a_request_before_the_call_is_found_by_it) {
    const auto task =
        make_task([](const std::stop_token& token) { return token.stop_requested(); });
    const auto future = detail::FutureAccess::make(*task);
    BOOST_TEST(future.request_stop());
    task->run();
    BOOST_TEST(future.result());
}

BOOST_AUTO_TEST_CASE(a_request_reaches_the_running_call) {
    Future<bool> self;
    const auto task = make_task([&self](const std::stop_token& token) {
        return !token.stop_requested() && self.request_stop() && token.stop_requested();
    });
    self = detail::FutureAccess::make(*task);
    task->run();
    BOOST_TEST(self.result());
}

BOOST_AUTO_TEST_CASE(a_request_is_refused_without_token_and_after_the_end) {
    BOOST_TEST(!detail::FutureAccess::make(*make_task([] {})).request_stop());
    BOOST_TEST(!run([](const std::stop_token& /*token*/) {}).request_stop());
}

BOOST_AUTO_TEST_SUITE_END()
