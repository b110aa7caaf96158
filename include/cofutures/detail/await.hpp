#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/version.hpp>

#include <concepts>
#include <exception>
#include <tuple>
#include <utility>

/// @file
/// `co_await future` inside `asio::awaitable`, for lvalues too and for every type of value.
///
/// This is the header that reaches into `asio::detail`. Asio's own `awaitable_async_op` would do,
/// as a Future is an asynchronous operation, but up to the newest release it rejects lvalue
/// operands, and in Boost 1.81 it does not compile for the signature `void(std::exception_ptr, T)`.
/// The partial specialisations below wait by `async_wait`, whose signature is fine everywhere, and
/// read the value when the coroutine resumes, so that T needs no default constructor either.
/// `co_await f.async_result()` says the same without them; defining
/// COFUTURES_NO_AWAIT_SPECIALIZATION leaves them out.

namespace cofutures {

template <class T>
class Future;
template <class T>
class CancelOnAbort;

namespace detail {

struct Initiation;

/// How the specialisations reach the future in an operation.
struct AwaitAccess {
    template <class T>
    static Future<T>& future(Future<T>& operation) noexcept {
        return operation;
    }
    template <class T>
    static Future<T>& future(CancelOnAbort<T>& operation) noexcept {
        return operation.future_;
    }
};

}  // namespace detail
}  // namespace cofutures

#ifndef COFUTURES_NO_AWAIT_SPECIALIZATION

namespace cofutures::detail {

/// Awaits an operation that can `async_wait`, and gives the value of its future.
template <class Operation, class T, class Executor>
class AwaitFuture {
    using Handler =
        boost::asio::detail::awaitable_async_op_handler<void(boost::system::error_code), Executor>;
    using Frame = boost::asio::detail::awaitable_frame_base<Executor>;

public:
    template <class Op, class... Location>
    AwaitFuture(Op&& operation, Frame* frame, const Location&...)
        : operation_(std::forward<Op>(operation)), frame_(frame) {}

    bool await_ready() { return AwaitAccess::future(operation_).done(); }

    void await_suspend(boost::asio::detail::coroutine_handle<void>) {
        suspended_ = true;
        frame_->after_suspend(
            [](void* arg) {
                auto* self = static_cast<AwaitFuture*>(arg);
                self->operation_.async_wait(Handler(self->frame_->detach_thread(), self->result_));
            },
            this
        );
    }

    T await_resume() {
        if (suspended_) {
            Handler::resume(result_);  // throws if the wait was cancelled
        }
        return std::move(AwaitAccess::future(operation_)).result();
    }

private:
    Operation operation_;
    Frame* frame_;
    typename Handler::result_type result_{};
    bool suspended_ = false;
};

}  // namespace cofutures::detail

// The names are qualified, not nested in reopened namespaces: they then also find the primary
// template of an Asio that has an inline namespace in between.
template <class Signature, class T, class Executor>
class boost::asio::detail::awaitable_async_op<Signature, cofutures::Future<T>, Executor>
    : public cofutures::detail::AwaitFuture<cofutures::Future<T>, T, Executor> {
    using cofutures::detail::AwaitFuture<cofutures::Future<T>, T, Executor>::AwaitFuture;
};

template <class Signature, class T, class Executor>
class boost::asio::detail::awaitable_async_op<Signature, cofutures::CancelOnAbort<T>, Executor>
    : public cofutures::detail::AwaitFuture<cofutures::CancelOnAbort<T>, T, Executor> {
    using cofutures::detail::AwaitFuture<cofutures::CancelOnAbort<T>, T, Executor>::AwaitFuture;
};

#    if BOOST_ASIO_VERSION < 102800

// What `deferred` makes of this library's operations, in versions that cannot await an exception
// beside a value. The two arrive as one tuple, which those versions can.
template <class T, class Initiation, class... Args, class Executor>
requires std::derived_from<Initiation, cofutures::detail::Initiation>
class boost::asio::detail::awaitable_async_op<
    void(std::exception_ptr, T),
    boost::asio::deferred_async_operation<void(std::exception_ptr, T), Initiation, Args...>,
    Executor> {
    using Operation =
        boost::asio::deferred_async_operation<void(std::exception_ptr, T), Initiation, Args...>;
    using Both = std::tuple<std::exception_ptr, T>;
    using Base = awaitable_async_op_handler<void(Both), Executor>;
    struct Handler : Base {
        using Base::Base;
        void operator()(std::exception_ptr error, T value) {
            Base::operator()(Both(std::move(error), std::move(value)));
        }
    };

public:
    template <class Op, class... Location>
    awaitable_async_op(Op&& operation, awaitable_frame_base<Executor>* frame, const Location&...)
        : operation_(std::forward<Op>(operation)), frame_(frame) {}

    bool await_ready() const noexcept { return false; }

    void await_suspend(coroutine_handle<void>) {
        frame_->after_suspend(
            [](void* arg) {
                auto* self = static_cast<awaitable_async_op*>(arg);
                std::move(self->operation_)(Handler(self->frame_->detach_thread(), self->result_));
            },
            this
        );
    }

    T await_resume() {
        Both both = Base::resume(result_);
        if (std::get<0>(both)) {
            std::rethrow_exception(std::get<0>(std::move(both)));
        }
        return std::get<1>(std::move(both));
    }

private:
    Operation operation_;
    awaitable_frame_base<Executor>* frame_;
    typename Base::result_type result_{};
};

#    endif
#endif
