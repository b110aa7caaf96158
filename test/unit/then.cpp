#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE then
#include <boost/test/unit_test.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/object_observer.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace cofutures;
using cofutures::test::LeakCheck;
using cofutures::test::ObjectCounts;
using cofutures::test::Observed;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

constexpr int long_chain = 200'000;

std::exception_ptr an_error() {
    return std::make_exception_ptr(std::runtime_error("failed"));
}

Future<int> chain_of(Future<int> future, int links) {
    for (int i = 0; i < links; ++i) {
        future = future.then([](int value) { return value + 1; });
    }
    return future;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(then)

BOOST_AUTO_TEST_CASE(passes_the_value_through_the_function) {
    Promise<int> promise;
    const auto before = promise.get_future().then([](int value) { return std::to_string(value); });
    static_assert(std::is_same_v<decltype(before), const Future<std::string>>);
    BOOST_TEST(!before.done());
    promise.set_result(42);
    const auto after = promise.get_future().then([](int value) { return std::to_string(value); });
    BOOST_TEST(before.result() == "42");
    BOOST_TEST(after.result() == "42");
}

BOOST_AUTO_TEST_CASE(takes_and_gives_every_kind_of_value) {
    int target = 1;
    Promise<void> promise;
    const auto reference = promise.get_future().then([&]() -> int& { return target; });
    static_assert(std::is_same_v<decltype(reference), const Future<int&>>);
    const auto to_const = promise.get_future().then([&]() -> const int& { return target; });
    static_assert(std::is_same_v<decltype(to_const), const Future<const int&>>);
    const auto owned = reference.then([](int& value) { return std::make_unique<int>(++value); });
    const auto nothing = owned.then([&](std::unique_ptr<int> value) { target += *value; });
    static_assert(std::is_same_v<decltype(nothing), const Future<void>>);
    promise.set_result();
    nothing.result();
    BOOST_TEST(target == 4);
    BOOST_TEST(&reference.result() == &target);
    BOOST_CHECK_THROW(owned.result(), InvalidStateError);  // it could only be moved
}

BOOST_AUTO_TEST_CASE(takes_move_only_functions_and_members) {
    struct Pair {
        int first;
        int sum() const { return first + 1; }
    };
    Promise<Pair> promise;
    auto owned = std::make_unique<int>(1);
    const auto with_capture = promise.get_future().then([owned = std::move(owned)](const Pair& p) {
        return p.first + *owned;
    });
    const auto by_data_member = promise.get_future().then(&Pair::first);
    const auto by_function_member = promise.get_future().then(&Pair::sum);
    promise.set_result(Pair{2});
    BOOST_TEST(with_capture.result() == 3);
    BOOST_TEST(by_data_member.result() == 2);
    BOOST_TEST(by_function_member.result() == 3);
}

BOOST_AUTO_TEST_CASE(keeps_a_part_of_the_value_that_the_function_returns_by_rvalue_reference) {
    struct Named {
        std::string name;
    };
    Promise<int> promise;
    const auto part =
        promise.get_future().then([](int) { return Named{"a name too long for a small string"}; }
        ).then([](Named&& value) -> std::string&& { return std::move(value.name); });
    static_assert(std::is_same_v<decltype(part), const Future<std::string>>);
    promise.set_result(1);
    BOOST_TEST(part.result() == "a name too long for a small string");
}

BOOST_AUTO_TEST_CASE(calls_the_function_once_as_an_rvalue) {
    struct OnlyAsRvalue {
        int operator()(int value) && { return value; }
        int operator()(int value) & = delete;
    };
    Promise<int> promise;
    const auto future = promise.get_future().then(OnlyAsRvalue());
    promise.set_result(5);
    BOOST_TEST(future.result() == 5);
}

BOOST_AUTO_TEST_CASE(passes_errors_and_cancellation_by_without_calling) {
    bool called = false;
    const auto mark = [&](int value) {
        called = true;
        return value;
    };
    Promise<int> failing;
    const auto failed = failing.get_future().then(mark).then(mark);
    failing.set_exception(an_error());
    BOOST_CHECK(failed.exception() == failing.get_future().exception());

    Promise<int> cancelling;
    const auto cancelled = cancelling.get_future().then(mark).then(mark);
    cancelling.get_future().cancel();
    BOOST_TEST(cancelled.cancelled());

    std::optional<Promise<int>> leaving(std::in_place);
    const auto abandoned = leaving->get_future().then(mark);
    leaving.reset();
    BOOST_CHECK_THROW(abandoned.result(), BrokenExecutor);
    BOOST_TEST(!called);
}

BOOST_AUTO_TEST_CASE(holds_what_the_function_throws) {
    Promise<int> promise;
    const auto future =
        promise.get_future().then([](int) -> int { throw std::out_of_range("thrown"); });
    BOOST_CHECK_NO_THROW(promise.set_result(1));
    BOOST_CHECK_THROW(future.result(), std::out_of_range);
    BOOST_TEST(promise.get_future().result() == 1);
}

BOOST_AUTO_TEST_CASE(cancels_only_the_new_future_and_frees_the_function) {
    ObjectCounts counts;
    Promise<int> promise;
    const auto future = promise.get_future();
    const auto chained = future.then([part = Observed(counts)](int value) { return value; });
    BOOST_TEST(chained.cancel());
    BOOST_TEST(chained.cancelled());
    BOOST_TEST(counts.live() == 0);
    BOOST_TEST(!future.done());
    promise.set_result(1);
    BOOST_TEST(future.result() == 1);
    BOOST_TEST(chained.cancelled());
}

BOOST_AUTO_TEST_CASE(runs_its_function_although_nobody_keeps_the_new_future) {
    bool called = false;
    Promise<int> promise;
    static_cast<void>(promise.get_future().then([&](int) { called = true; }));
    promise.set_result(1);
    BOOST_TEST(called);
}

BOOST_AUTO_TEST_CASE(does_not_unwrap_a_future_that_the_function_returns) {
    Promise<int> promise;
    Promise<int> inner;
    const auto nested = promise.get_future().then([&](int) { return inner.get_future(); });
    static_assert(std::is_same_v<decltype(nested), const Future<Future<int>>>);
    promise.set_result(1);
    inner.set_result(2);
    BOOST_TEST(nested.result().result() == 2);
}

BOOST_AUTO_TEST_CASE(a_function_may_cancel_a_sibling_that_comes_later) {
    Promise<int> promise;
    const auto future = promise.get_future();
    Future<int> second;
    const auto first = future.then([&](int value) {
        second.cancel();
        return value;
    });
    second = future.then([](int value) { return value; });
    promise.set_result(1);
    BOOST_TEST(first.result() == 1);
    BOOST_TEST(second.cancelled());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(long_chains)

BOOST_AUTO_TEST_CASE(complete) {
    Promise<int> promise;
    const auto last = chain_of(promise.get_future(), long_chain);
    promise.set_result(0);
    BOOST_TEST(last.result() == long_chain);
}

BOOST_AUTO_TEST_CASE(fail) {
    Promise<int> promise;
    const auto last = chain_of(promise.get_future(), long_chain);
    promise.set_exception(an_error());
    BOOST_CHECK_THROW(last.result(), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(are_cancelled_from_the_first) {
    Promise<int> promise;
    const auto last = chain_of(promise.get_future(), long_chain);
    promise.get_future().cancel();
    BOOST_TEST(last.cancelled());
}

BOOST_AUTO_TEST_CASE(are_cancelled_from_the_last) {
    Promise<int> promise;
    const auto last = chain_of(promise.get_future(), long_chain);
    last.cancel();
    promise.set_result(0);
    BOOST_TEST(last.cancelled());
}

BOOST_AUTO_TEST_CASE(are_dropped) {
    Promise<int> promise;
    static_cast<void>(chain_of(promise.get_future(), long_chain));
    promise.set_result(0);
}

BOOST_AUTO_TEST_CASE(are_abandoned) {
    std::optional<Promise<int>> promise(std::in_place);
    const auto last = chain_of(promise->get_future(), long_chain);
    promise.reset();
    BOOST_CHECK_THROW(last.result(), BrokenExecutor);
}

BOOST_AUTO_TEST_CASE(are_held_link_by_link) {
    Promise<int> promise;
    std::vector<Future<int>> links{promise.get_future()};
    for (int i = 0; i < long_chain; ++i) {
        links.push_back(chain_of(links.back(), 1));
    }
    promise.set_result(0);
    BOOST_TEST(links.back().result() == long_chain);
    BOOST_TEST(links[1].result() == 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(callbacks_that_block)

// A deadlock unless the thread runs what it has put off before it blocks.
BOOST_AUTO_TEST_CASE(on_an_earlier_sibling_s_chain_go_on) {
    Promise<int> promise;
    const auto future = promise.get_future();
    const auto last = chain_of(future, 3);
    int seen = 0;
    future.add_done_callback([&] { seen = last.result(test::generous); });
    promise.set_result(1);
    BOOST_TEST(seen == 4);
}

BOOST_AUTO_TEST_CASE(on_a_later_sibling_s_chain_go_on) {
    Promise<int> promise;
    const auto future = promise.get_future();
    Future<int> last;
    int seen = 0;
    future.add_done_callback([&] { seen = last.result(test::generous); });
    last = chain_of(future, 3);
    promise.set_result(1);
    BOOST_TEST(seen == 4);
}

BOOST_AUTO_TEST_CASE(in_a_chained_function_keep_the_value_they_read) {
    ObjectCounts counts;
    Promise<int> promise;
    auto middle = promise.get_future().then([&](int value) { return Observed(counts, value); });
    Future<int> second;
    const auto first = middle.then([&](const Observed& value) {
        const int taken = second.result(test::generous);
        return value.value() + taken;
    });
    second = middle.then([](Observed value) { return value.value(); });
    middle = {};
    promise.set_result(4);
    BOOST_TEST(first.result() == 8);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(or_else)

BOOST_AUTO_TEST_CASE(replaces_an_error) {
    Promise<int> promise;
    const auto future = promise.get_future().or_else([](const std::exception_ptr& error) {
        BOOST_CHECK_THROW(std::rethrow_exception(error), std::runtime_error);
        return 7;
    });
    promise.set_exception(an_error());
    BOOST_TEST(future.result() == 7);
}

BOOST_AUTO_TEST_CASE(passes_values_and_cancellation_by) {
    bool called = false;
    const auto mark = [&](const std::exception_ptr&) {
        called = true;
        return 0;
    };
    Promise<int> promise;
    const auto future = promise.get_future().or_else(mark);
    promise.set_result(3);
    BOOST_TEST(future.result() == 3);

    Promise<int> cancelling;
    const auto cancelled = cancelling.get_future().or_else(mark);
    cancelling.get_future().cancel();
    BOOST_TEST(cancelled.cancelled());
    BOOST_TEST(!called);
}

BOOST_AUTO_TEST_CASE(holds_what_the_function_throws) {
    Promise<int> promise;
    const auto future = promise.get_future().or_else([](const std::exception_ptr&) -> int {
        throw std::out_of_range("thrown");
    });
    promise.set_exception(an_error());
    BOOST_CHECK_THROW(future.result(), std::out_of_range);
}

BOOST_AUTO_TEST_CASE(works_for_void_references_and_move_only_values) {
    Promise<void> nothing;
    const auto none = nothing.get_future().or_else([](const std::exception_ptr&) {});
    nothing.set_exception(an_error());
    BOOST_CHECK_NO_THROW(none.result());

    Promise<void> fine;
    const auto passed = fine.get_future().or_else([](const std::exception_ptr&) {});
    fine.set_result();
    BOOST_CHECK_NO_THROW(passed.result());

    int target = 0;
    Promise<int&> reference;
    const auto replaced =
        reference.get_future().or_else([&](const std::exception_ptr&) -> int& { return target; });
    reference.set_exception(an_error());
    BOOST_TEST(&replaced.result() == &target);

    Promise<std::unique_ptr<int>> owner;
    const auto moved = owner.get_future().or_else([](const std::exception_ptr&) {
        return std::unique_ptr<int>();
    });
    owner.set_result(std::make_unique<int>(8));
    BOOST_TEST(*moved.result() == 8);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(on_an_executor)

BOOST_AUTO_TEST_CASE(runs_there_and_never_inside_the_call) {
    boost::asio::io_context context;
    Promise<int> promise;
    promise.set_result(1);
    bool on_context = false;
    const auto future = promise.get_future().then(context.get_executor(), [&](int value) {
        on_context = context.get_executor().running_in_this_thread();
        return value + 1;
    });
    BOOST_TEST(!future.done());
    context.run();
    BOOST_TEST(on_context);
    BOOST_TEST(future.result() == 2);
}

BOOST_AUTO_TEST_CASE(keeps_the_executor_from_running_out_of_work) {
    boost::asio::io_context context;
    Promise<int> promise;
    const auto future =
        promise.get_future().then(context.get_executor(), [](int value) { return value + 1; });
    std::thread producer([&] { promise.set_result(1); });
    context.run();
    BOOST_TEST(future.done());
    BOOST_TEST(future.result() == 2);
    producer.join();
}

BOOST_AUTO_TEST_CASE(cancelled_gives_the_executor_free_and_frees_the_function) {
    ObjectCounts counts;
    boost::asio::io_context context;
    Promise<int> promise;
    const auto future =
        promise.get_future().then(context.get_executor(), [part = Observed(counts)](int value) {
            return value;
        });
    future.cancel();
    BOOST_TEST(counts.live() == 0);
    context.run();  // returns: there is nothing to wait for
    promise.set_result(1);
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(cancelled_after_it_was_posted_does_not_run) {
    boost::asio::io_context context;
    Promise<int> promise;
    promise.set_result(1);
    bool called = false;
    const auto future =
        promise.get_future().then(context.get_executor(), [&](int) { called = true; });
    BOOST_TEST(future.cancel());
    context.run();
    BOOST_TEST(!called);
    BOOST_TEST(future.cancelled());
}

BOOST_AUTO_TEST_CASE(dropped_by_the_executor_breaks_the_future) {
    ObjectCounts counts;
    Promise<int> promise;
    Future<int> chained;
    Future<int> later;
    {
        boost::asio::io_context context;
        chained =
            promise.get_future().then(context.get_executor(), [part = Observed(counts)](int value) {
                return value;
            });
        // Told while the context is being destroyed, and posts to it.
        later =
            chained.or_else(context.get_executor(), [](const std::exception_ptr&) { return 1; });
        promise.set_result(1);
    }
    BOOST_CHECK_THROW(chained.result(), BrokenExecutor);
    BOOST_CHECK_THROW(later.result(), BrokenExecutor);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(moves_the_value_when_nobody_else_reads_it) {
    ObjectCounts counts;
    boost::asio::io_context context;
    Promise<int> promise;
    const auto value = promise.get_future().then([&](int v) { return Observed(counts, v); }
    ).then(context.get_executor(), [](Observed o) { return o.value(); });
    promise.set_result(6);
    context.run();
    BOOST_TEST(value.result() == 6);
    BOOST_TEST(counts.copies == 0);
    BOOST_TEST(counts.live() == 0);
}

BOOST_AUTO_TEST_CASE(takes_strands_and_pools_and_passes_errors) {
    boost::asio::thread_pool pool(2);
    auto strand = boost::asio::make_strand(pool);
    Promise<int> promise;
    const auto value = promise.get_future().then(strand, [](int v) { return v + 1; });
    const auto replaced =
        value.then(
                 pool.get_executor(), [](int) -> int { throw std::out_of_range("thrown"); }
        ).or_else(strand, [](const std::exception_ptr&) { return -1; });
    promise.set_result(1);
    BOOST_TEST(value.result(test::generous) == 2);
    BOOST_TEST(replaced.result(test::generous) == -1);
    pool.join();
}

BOOST_AUTO_TEST_SUITE_END()
