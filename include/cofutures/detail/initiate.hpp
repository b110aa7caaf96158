#pragma once

#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/deliver.hpp>
#include <cofutures/detail/future_access.hpp>
#include <cofutures/detail/timed_operation.hpp>

#include <chrono>
#include <type_traits>
#include <utility>

/// @file
/// What starts the Asio operations on one future. They are types with names, as `deferred` keeps
/// them in the type of what it gives, by which await.hpp knows them.

namespace cofutures::detail {

/// Marks what starts an operation of this library.
struct Initiation {};

/// The same of a lambda.
template <class Fn>
struct LambdaInitiation : Initiation, Fn {
    explicit LambdaInitiation(Fn fn) : Fn(std::move(fn)) {}
    using Fn::operator();
};

/// A duration that has not begun to run.
class Timeout {
public:
    template <class Rep, class Period>
    static Timeout of(std::chrono::duration<Rep, Period> timeout) {
        const auto now = Clock::now();
        const Deadline deadline = detail::deadline_after(timeout);
        return Timeout(deadline ? *deadline - now : Clock::duration::max());
    }

    [[nodiscard]] Deadline deadline() const { return deadline_after(length_); }

private:
    explicit Timeout(Clock::duration length) : length_(length) {}

    Clock::duration length_;
};

/// Gives the value, or the exception.
template <template <class> class Wrap>
struct InitiateResultAs : Initiation {
    template <class Handler, class T>
    void operator()(Handler handler, Future<T> future) const {
        using Deliver = Wrap<DeliverResult<T, Future<T>>>;
        State<T>& state = FutureAccess::state(future);
        AsyncOperation<Deliver, Handler>::start(
            state, Deliver{{std::move(future)}}, std::move(handler)
        );
    }
};

/// Says when the future is done.
template <template <class> class Wrap>
struct InitiateWaitAs : Initiation {
    template <class Handler, class T>
    void operator()(Handler handler, const Future<T>& future) const {
        using Deliver = Wrap<DeliverDone>;
        AsyncOperation<Deliver, Handler>::start(
            FutureAccess::state(future), Deliver(), std::move(handler)
        );
    }
};

/// An operation that, when cancelled, cancels nothing but itself.
template <class Deliver>
using LeavesTheCall = Deliver;

using InitiateResult = InitiateResultAs<LeavesTheCall>;
using InitiateWait = InitiateWaitAs<LeavesTheCall>;
using InitiateCancellingResult = InitiateResultAs<CancelsTheCall>;
using InitiateCancellingWait = InitiateWaitAs<CancelsTheCall>;

/// Gives the value, or the exception, or a TimeoutError.
class InitiateTimedResult : public Initiation {
public:
    explicit InitiateTimedResult(Timeout timeout) : timeout_(timeout) {}

    template <class Handler, class T>
    void operator()(Handler handler, Future<T> future) const {
        using Deliver = DeliverResult<T, Future<T>>;
        State<T>& state = FutureAccess::state(future);
        TimedOperation<Deliver, Handler>::start(
            state, timeout_.deadline(), Deliver{std::move(future)}, std::move(handler)
        );
    }

private:
    Timeout timeout_;
};

/// Says when the future is done, or that it is not.
class InitiateTimedWait : public Initiation {
public:
    explicit InitiateTimedWait(Timeout timeout) : timeout_(timeout) {}

    template <class Handler, class T>
    void operator()(Handler handler, const Future<T>& future) const {
        TimedOperation<DeliverDone, Handler>::start(
            FutureAccess::state(future), timeout_.deadline(), DeliverDone(), std::move(handler)
        );
    }

private:
    Timeout timeout_;
};

}  // namespace cofutures::detail
