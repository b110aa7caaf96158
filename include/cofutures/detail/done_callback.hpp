#pragma once

#include <cofutures/detail/callback_error.hpp>
#include <cofutures/detail/state_base.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// A callback of add_done_callback: waits on the heap, runs on the thread that ends the future.
///
/// `Fn` takes the state.
template <class Fn>
class DoneCallback final : public Waiter {
public:
    explicit DoneCallback(Fn fn) : Waiter(Role::callback), fn_(std::move(fn)) {}

    void notify(StateBase& state) noexcept override {
        const std::unique_ptr<DoneCallback> self(this);
        if (state.phase() == Phase::raised) {
            state.look();
        }
        call(fn_, state);
    }

    static void call(Fn& fn, StateBase& state) noexcept {
        try {
            fn(state);
        } catch (...) {
            report_callback_error(std::current_exception());
        }
    }

private:
    Fn fn_;
};

/// Runs `fn(state)` once `state` is done; at once, on this thread, if it is done already.
template <class Fn>
void when_done(StateBase& state, Fn fn) {
    auto callback = std::make_unique<DoneCallback<Fn>>(std::move(fn));
    if (state.add(*callback)) {
        static_cast<void>(callback.release());  // the list's; notify() takes it back
    } else {
        callback.release()->notify(state);
    }
}

}  // namespace cofutures::detail
