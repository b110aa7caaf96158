#pragma once

#include <cofutures/error.hpp>
#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/callback_error.hpp>
#include <cofutures/detail/make_error.hpp>
#include <cofutures/detail/place_on.hpp>
#include <cofutures/detail/state.hpp>
#include <cofutures/detail/work_guard.hpp>

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// Result of a then-function on a T.
template <class Fn, class T>
struct ThenResult {
    static_assert(
        std::is_invocable_v<Fn, T>, "then: the function cannot be called with the future's value"
    );
    using type = std::invoke_result_t<Fn, T>;
};
template <class Fn>
struct ThenResult<Fn, void> {
    static_assert(
        std::is_invocable_v<Fn>, "then: the function of a future of void takes no argument"
    );
    using type = std::invoke_result_t<Fn>;
};
template <class Fn, class T>
using ThenValue = FutureValue<typename ThenResult<Fn, T>::type>;

/// then(): a value goes through the function, an error passes by.
template <class Fn, class T>
struct ThenStep {
    static constexpr Phase handles = Phase::returned;

    Fn fn;

    /// @param in_callback  Called while the upstream future's callbacks are told; otherwise by the
    ///                     owner of a handle.
    decltype(auto) operator()(State<T>& upstream, bool in_callback) {
        if constexpr (std::is_void_v<T>) {
            return std::invoke(std::move(fn));
        } else if constexpr (std::is_reference_v<T>) {
            return std::invoke(std::move(fn), upstream.value());
        } else {
            // Not what the function returns: that may be an rvalue reference into its argument.
            using Result = ThenValue<Fn, T>;
            if constexpr (is_copyable<T> && std::is_invocable_r_v<Result, Fn, const T&>) {
                if (!upstream.has_sole_reader(in_callback)) {  // others read it: no copy is needed
                    const ReadGuard guard(upstream);
                    return static_cast<Result>(std::invoke(std::move(fn), upstream.value()));
                }
            }
            return static_cast<Result>(std::invoke(std::move(fn), upstream.take(in_callback)));
        }
    }
};

/// or_else(): an error goes through the function, a value passes by.
template <class Fn, class T>
struct OrElseStep {
    static constexpr Phase handles = Phase::raised;

    Fn fn;

    decltype(auto) operator()(State<T>& upstream, bool /*in_callback*/) {
        return std::invoke(std::move(fn), upstream.error());
    }
};

/// Future of U that ends when another future has ended and a step was applied to its outcome.
///
/// It is state and waiter in one allocation: it stands in the upstream future's list, which holds a
/// reference to it, and keeps the upstream state so that it can leave when it is cancelled. Who
/// ends its pending phase owns both.
template <class U, class T, class Step>
class Continuation : public State<U>, public Waiter {
public:
    Continuation(State<T>& upstream, Step step)
        : Waiter(Role::callback), upstream_(&upstream), step_(std::move(step)) {}

    /// Begins to wait; applies the step at once if the upstream future is done.
    void start() {
        const StatePtr upstream = upstream_;  // a cancel may take the member away
        this->add_reference();                // the list's
        if (!upstream->add(*this)) {
            notify(*upstream);
        }
    }

    [[nodiscard]] Dependencies dependencies(std::size_t /*most*/) override {
        Dependencies needs;
        this->read_while_pending([&] { needs.futures.push_back(upstream_); });
        return needs;
    }

    void notify(StateBase& upstream) noexcept override {
        const StatePtr self(this, false);
        apply(static_cast<State<T>&>(upstream), true);
    }

protected:
    void apply(State<T>& upstream, bool in_callback) noexcept {
        if (!this->try_claim()) {
            return;
        }
        this->wait_for_readers();
        upstream_.reset();
        this->set_place_here();
        const Phase outcome = upstream.phase();
        std::exception_ptr error;
        if (outcome == Step::handles || outcome == Phase::returned) {
            try {
                this->store_result_of([&]() -> decltype(auto) {
                    if constexpr (Step::handles == Phase::raised) {
                        if (upstream.phase() == Phase::returned) {
                            return pass_value(upstream, in_callback);
                        }
                    }
                    return static_cast<U>((*step_)(upstream, in_callback));
                });
            } catch (...) {
                error = std::current_exception();
            }
        } else if (outcome == Phase::raised) {
            error = upstream.error();
        } else {
            step_.reset();
            this->finish_continuation_cancelled();
            return;
        }
        step_.reset();
        if (error) {
            this->finish_continuation_with_error(std::move(error));
        } else {
            this->finish_continuation_with_value();
        }
    }

private:
    static U pass_value(State<T>& upstream, bool in_callback) {
        if constexpr (std::is_void_v<T>) {
            return;
        } else {
            return static_cast<U>(upstream.take(in_callback));
        }
    }

    void destroy_work() noexcept override {
        this->wait_for_readers();
        step_.reset();
        if (upstream_->remove(*this)) {
            will_not_be_notified();
            this->release_reference();  // the list's
        }
        upstream_.reset();
    }

    virtual void will_not_be_notified() noexcept {}

    StatePtr upstream_;         // the pending phase's owner's
    std::optional<Step> step_;  // likewise
};

/// A continuation whose step runs on an Asio executor, which is kept from running out of work.
template <class U, class T, class Step, class AsioExecutor>
class ContinuationOn final : public Continuation<U, T, Step> {
public:
    ContinuationOn(State<T>& upstream, Step step, const AsioExecutor& executor)
        : Continuation<U, T, Step>(upstream, std::move(step)), work_(executor) {
        if constexpr (tracks_work<AsioExecutor>) {  // otherwise the place may go before this does
            this->set_place(place_on(executor));
        }
    }

    void notify(StateBase& upstream) noexcept override {
        Posted posted(*this, static_cast<State<T>&>(upstream));
        // The guard leaves this object before the step can run and end it elsewhere.
        const auto work = std::move(work_);
        try {
            post_to(work.get_executor(), std::move(posted));
        } catch (...) {
            report_callback_error(std::current_exception());
        }
    }

    [[nodiscard]] std::string label() const override { return "a continuation"; }

private:
    /// What is posted. If the executor drops it the future still ends.
    class Posted {
    public:
        Posted(ContinuationOn& continuation, State<T>& upstream)
            : continuation_(&continuation, false), upstream_(&upstream) {
            upstream.add_handle();
        }
        Posted(Posted&& other) noexcept
            : continuation_(std::move(other.continuation_)),
              upstream_(std::exchange(other.upstream_, nullptr)) {}
        Posted& operator=(Posted&&) = delete;
        ~Posted() {
            if (upstream_ != nullptr) {
                continuation_->abandon(
                    make_error<BrokenExecutor>("abandoned: its executor dropped the continuation")
                );
                upstream_->release_handle();
            }
        }

        void operator()() {
            State<T>* upstream = std::exchange(upstream_, nullptr);
            continuation_->apply(*upstream, false);
            upstream->release_handle();
        }

    private:
        boost::intrusive_ptr<ContinuationOn> continuation_;
        State<T>* upstream_;
    };

    void will_not_be_notified() noexcept override { work_.reset(); }

    WorkGuard<AsioExecutor> work_;  // notify()'s, once that is certain to come
};

}  // namespace cofutures::detail
