#pragma once

#include <cofutures/any_future.hpp>
#include <cofutures/export.hpp>
#include <cofutures/future.hpp>
#include <cofutures/detail/state_base.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace cofutures::detail {

template <class F>
inline constexpr bool is_future = false;
template <class T>
inline constexpr bool is_future<Future<T>> = true;

template <class F>
concept FutureHandle = is_future<F> || std::same_as<F, AnyFuture>;

/// Any input range of Future<T>, or of AnyFuture: container, view, generator, lvalue or rvalue.
template <class R>
concept FutureRange = std::ranges::input_range<R> && FutureHandle<std::ranges::range_value_t<R>>;

/// The Future<T>, or AnyFuture, that a range is of.
template <class R>
using FutureOf = std::ranges::range_value_t<R>;

/// Copies the handles out of a range; moves them out of a container that the caller gives away.
template <FutureRange R>
std::vector<FutureOf<R>> to_vector(R&& range) {
    constexpr bool given_away = !std::is_lvalue_reference_v<R> && !std::ranges::borrowed_range<R> &&
                                !std::ranges::view<R> &&
                                std::is_lvalue_reference_v<std::ranges::range_reference_t<R>>;
    std::vector<FutureOf<R>> futures;
    if constexpr (std::ranges::sized_range<R>) {
        futures.reserve(static_cast<std::size_t>(std::ranges::size(range)));
    }
    for (auto&& future : range) {
        if constexpr (given_away) {
            futures.emplace_back(std::move(future));
        } else {
            futures.emplace_back(std::forward<decltype(future)>(future));
        }
    }
    return futures;
}

/// The states of futures, in order.
///
/// @throws InvalidStateError  for an empty handle.
template <class F>
std::vector<StateBase*> states_of(const std::vector<F>& futures) {
    std::vector<StateBase*> states;
    states.reserve(futures.size());
    for (const F& future : futures) {
        states.push_back(&state_of(future));
    }
    return states;
}

/// Finds duplicates: a table of pointers of fixed size, which std::unordered_set is several times
/// slower than.
class COFUTURES_EXPORT SeenStates {
public:
    explicit SeenStates(std::size_t most);

    /// Says whether the state was not there before.
    bool insert(const StateBase& state) noexcept;

private:
    std::vector<const StateBase*> table_;  // its size is a power of two
};

/// Distinct futures, in input order, and their states.
template <class F>
struct DistinctFutures {
    /// @throws InvalidStateError  for an empty handle.
    explicit DistinctFutures(std::vector<F> given) : futures(std::move(given)) {
        states.reserve(futures.size());
        SeenStates seen(futures.size());
        std::erase_if(futures, [&](const F& future) {
            StateBase& state = state_of(future);
            const bool first = seen.insert(state);
            if (first) {
                states.push_back(&state);
            }
            return !first;
        });
    }

    std::vector<F> futures;
    std::vector<StateBase*> states;
};

}  // namespace cofutures::detail
