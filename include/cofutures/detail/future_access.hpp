#pragma once

#include <cofutures/detail/state.hpp>

namespace cofutures {

template <class T>
class Future;

namespace detail {

/// Says that nobody but the caller knows a state.
struct FirstHandle {};

/// How the library's own parts make a future of a state, and reach the state again.
struct FutureAccess {
    template <class T>
    static Future<T> make(State<T>& state) noexcept {
        return Future<T>(state);
    }
    /// The same of a state that nobody but the caller knows yet.
    template <class T>
    static Future<T> make_first(State<T>& state) noexcept {
        return Future<T>(state, FirstHandle());
    }
    template <class T>
    static State<T>& state(const Future<T>& future) {
        return future.state();
    }
};

}  // namespace detail
}  // namespace cofutures
