#pragma once

#include <cofutures/any_future.hpp>
#include <cofutures/as_completed.hpp>
#include <cofutures/when_all.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/initiate.hpp>
#include <cofutures/detail/wait_deliver.hpp>
#include <cofutures/detail/wait_futures.hpp>
#include <cofutures/detail/wait_set.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <initializer_list>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace cofutures {

/// When wait() returns.
///
/// @python  the constants of these names.
enum class ReturnWhen {
    /// When any future is done.
    FIRST_COMPLETED,
    /// When any future has raised; a cancelled one has not. When none does: when all are done.
    FIRST_EXCEPTION,
    /// When all are done.
    ALL_COMPLETED,
};
using enum ReturnWhen;

namespace detail {

constexpr Goal goal_of(ReturnWhen when) {
    switch (when) {
    case ReturnWhen::FIRST_COMPLETED:
        return Goal::first_completed;
    case ReturnWhen::FIRST_EXCEPTION:
        return Goal::first_exception;
    case ReturnWhen::ALL_COMPLETED:
        return Goal::all_completed;
    }
    throw std::invalid_argument("Invalid return condition");
}

template <FutureRange R>
DoneAndNotDoneOf<FutureOf<R>> wait_until(R&& range, const Deadline& deadline, ReturnWhen when) {
    const Goal goal = goal_of(when);
    DistinctFutures distinct(to_vector(std::forward<R>(range)));
    wait_until(distinct.states, goal, deadline);
    return partition(std::move(distinct.futures));
}

// The token's type is given, not found: of an lvalue it is a reference, and so it is copied.
template <class CompletionToken, class F>
auto initiate_wait(
    std::vector<F> futures, ReturnWhen when, std::remove_reference_t<CompletionToken>& token
) {
    const Goal goal = goal_of(when);
    DistinctFutures distinct(std::move(futures));
    return boost::asio::async_initiate<CompletionToken, WaitSignature<F>>(
        LambdaInitiation([](auto handler, DistinctFutures<F> waited, Goal until) {
            using Operation = AsyncOperation<DeliverPartition<F>, std::decay_t<decltype(handler)>>;
            auto owner = GoalEvent::start(waited.states, Waiter::Role::operation, until);
            GoalEvent& event = *owner;
            Operation::start(
                event,
                DeliverPartition<F>{std::move(waited.futures), std::move(owner)},
                std::move(handler)
            );
        }),
        token,
        std::move(distinct),
        goal
    );
}

}  // namespace detail

/// Waits for several futures.
///
/// They may come from different executors. A cancelled future is done. Duplicates count once.
///
/// @code{.cpp} run
/// cofutures::Promise<int> quick;
/// cofutures::Promise<int> slow;
/// std::vector<cofutures::Future<int>> futures{slow.get_future(), quick.get_future()};
/// quick.set_result(1);
/// auto [done, not_done] = cofutures::wait(futures, cofutures::FIRST_COMPLETED);
/// assert(done.size() == 1 && done[0].result() == 1);
/// assert(not_done.size() == 1 && not_done[0] == futures[0]);
/// @endcode
///
/// @param futures  An input range of Future<T>, or of AnyFuture for mixed types; a list in braces
///                 too. It is read before the wait begins.
/// @param when     What to wait for.
/// @returns All futures, in input order, as they are when it returns: FIRST_COMPLETED may give
///          several that are done.
/// @throws InvalidStateError      if a handle is empty; never for what the tasks did.
/// @throws DeadlockError          inside a task, if the wait could never end.
/// @throws std::invalid_argument  if `when` is none of the three.
/// @thread_safety  Safe.
/// @complexity     O(n) in time and memory.
/// @python         wait(fs, timeout=None, return_when=ALL_COMPLETED). Differences: vectors in input
///                 order, and a cancelled future need not be noticed by its executor to be done.
template <detail::FutureRange R = std::initializer_list<AnyFuture>>
auto wait(R&& futures, ReturnWhen when = ReturnWhen::ALL_COMPLETED) {
    return detail::wait_until(std::forward<R>(futures), detail::Deadline(), when);
}
template <class F>
auto wait(std::initializer_list<F> futures, ReturnWhen when = ReturnWhen::ALL_COMPLETED) {
    return detail::wait_until(futures, detail::Deadline(), when);
}

/// Waits for at most `timeout`; running out of time is no error.
///
/// @param timeout  Longest wait on the steady clock; zero or less asks without blocking.
/// @returns As above; what is unfinished after `timeout` is in `not_done`.
template <detail::FutureRange R = std::initializer_list<AnyFuture>, class Rep, class Period>
auto wait(
    R&& futures,
    std::chrono::duration<Rep, Period> timeout,
    ReturnWhen when = ReturnWhen::ALL_COMPLETED
) {
    return detail::wait_until(std::forward<R>(futures), detail::deadline_after(timeout), when);
}
template <class F, class Rep, class Period>
auto wait(
    std::initializer_list<F> futures,
    std::chrono::duration<Rep, Period> timeout,
    ReturnWhen when = ReturnWhen::ALL_COMPLETED
) {
    return detail::wait_until(futures, detail::deadline_after(timeout), when);
}

/// Waits for several futures as an Asio operation.
///
/// The operation can be cancelled through the handler's cancellation slot (terminal, partial,
/// total): it then completes with `asio::error::operation_aborted` as a system_error, has left all
/// futures when the handler runs, and the calls go on. The handler's executor runs the handler,
/// never inside this call, and is kept from running out of work meanwhile.
///
/// @param futures  As for wait(). Read before this call returns.
/// @param token    Completion token for `void(std::exception_ptr, DoneAndNotDone<T>)`; by default
///                 the operation is an `asio::awaitable`.
/// @throws InvalidStateError  if a handle is empty.
/// @thread_safety  As for Future::async_wait().
/// @complexity     O(n) in time and memory.
/// @python         asyncio.wait(), of wrapped futures.
template <
    detail::FutureRange R = std::initializer_list<AnyFuture>,
    boost::asio::completion_token_for<detail::WaitSignature<detail::FutureOf<R>>> CompletionToken =
        boost::asio::use_awaitable_t<>>
auto async_wait(
    R&& futures,
    ReturnWhen when = ReturnWhen::ALL_COMPLETED,
    CompletionToken&& token = CompletionToken()
) {
    return detail::initiate_wait<CompletionToken>(
        detail::to_vector(std::forward<R>(futures)), when, token
    );
}
template <
    class F,
    boost::asio::completion_token_for<detail::WaitSignature<F>> CompletionToken =
        boost::asio::use_awaitable_t<>>
auto async_wait(
    std::initializer_list<F> futures,
    ReturnWhen when = ReturnWhen::ALL_COMPLETED,
    CompletionToken&& token = CompletionToken()
) {
    return detail::initiate_wait<CompletionToken>(detail::to_vector(futures), when, token);
}

}  // namespace cofutures
