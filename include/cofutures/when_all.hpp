#pragma once

#include <cofutures/future.hpp>
#include <cofutures/detail/wait_futures.hpp>
#include <cofutures/detail/wait_gathering.hpp>

#include <array>
#include <initializer_list>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

namespace cofutures {

namespace detail {

template <class T>
auto gather_all(std::vector<Future<T>> futures) {
    using Result = typename GatheredRange<T>::type;
    const std::vector<StateBase*> states = states_of(futures);
    return Gathering<Result, std::vector<Future<T>>, CollectRange>::start(
        states, Goal::first_failure, std::move(futures), CollectRange()
    );
}

template <class F>
Future<F> gather_any(std::vector<F> futures) {
    if (futures.empty()) {
        throw std::invalid_argument("when_any: there is no future to wait for");
    }
    const std::vector<StateBase*> states = states_of(futures);
    return Gathering<F, std::vector<F>, PickDeciding>::start(
        states, Goal::first_completed, std::move(futures), PickDeciding()
    );
}

}  // namespace detail

/// Makes one future of the values of many, in input order.
///
/// @code{.cpp} run
/// cofutures::Promise<int> one;
/// cofutures::Promise<int> two;
/// const std::vector<cofutures::Future<int>> both{one.get_future(), two.get_future()};
/// cofutures::Future<int> sum =
///     cofutures::when_all(both).then([](const std::vector<int>& v) { return v[0] + v[1]; });
/// two.set_result(2);
/// one.set_result(1);
/// assert(sum.result() == 3);
/// @endcode
///
/// It fails as soon as one of them fails, with that exception, and is cancelled as soon as one of
/// them is; of several that are known at that moment the first in input order counts. The others go
/// on. Cancelling the result cancels none of the inputs. Nothing blocks, and no thread is used: the
/// last future to end makes the result, after its callbacks.
///
/// @param futures  An input range of Future<T>, or a list of them in braces; may be empty. A
///                 container given as an rvalue gives up its handles.
/// @returns Future<std::vector<T>>; of `std::reference_wrapper<T>` for T&; Future<void> for void. A
///          value is moved if no other handle can read it, or if it can only be moved; else copied.
/// @throws InvalidStateError  if a handle is empty.
/// @thread_safety  Safe.
/// @complexity     O(n) in time and memory.
/// @python         none; asyncio.gather() comes near.
template <detail::FutureRange R>
requires detail::is_future<detail::FutureOf<R>>
[[nodiscard]] auto when_all(R&& futures) {
    return detail::gather_all(detail::to_vector(std::forward<R>(futures)));
}
template <class T>
[[nodiscard]] auto when_all(std::initializer_list<Future<T>> futures) {
    return detail::gather_all(detail::to_vector(futures));
}

/// Makes one future of the values of several futures of different types.
///
/// @returns Future<std::tuple<T...>>, with `std::reference_wrapper<T>` for T& and std::monostate
///          for void. Otherwise as above.
template <class... T>
[[nodiscard]] Future<std::tuple<detail::Gathered<T>...>> when_all(Future<T>... futures) {
    const std::array<detail::StateBase*, sizeof...(T)> states{&detail::state_of(futures)...};
    using Inputs = std::tuple<Future<T>...>;
    using Result = std::tuple<detail::Gathered<T>...>;
    return detail::Gathering<Result, Inputs, detail::CollectTuple>::start(
        states, detail::Goal::first_failure, Inputs(std::move(futures)...), detail::CollectTuple()
    );
}

/// Makes a future of the first of several futures that is done, whatever it ended with.
///
/// Of several that are done already it is the first in input order. The others go on. Cancelling
/// the result cancels none of them.
///
/// @param futures  An input range of Future<T>, or of AnyFuture for mixed types; a list in braces
///                 too.
/// @returns Future<Future<T>>, or Future<AnyFuture>; it never fails.
/// @throws InvalidStateError      if a handle is empty.
/// @throws std::invalid_argument  if there is no future.
/// @thread_safety  Safe.
/// @complexity     O(n) in time and memory.
/// @python         none.
template <detail::FutureRange R = std::initializer_list<AnyFuture>>
[[nodiscard]] auto when_any(R&& futures) {
    return detail::gather_any(detail::to_vector(std::forward<R>(futures)));
}
template <class F>
[[nodiscard]] auto when_any(std::initializer_list<F> futures) {
    return detail::gather_any(detail::to_vector(futures));
}

}  // namespace cofutures
