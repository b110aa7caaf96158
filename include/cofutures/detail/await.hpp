#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

/// @file
/// `co_await future` inside `asio::awaitable`, for lvalues too and for every type of value.
///
/// This is the one header that reaches into `asio::detail`. Asio's own `awaitable_async_op` would
/// do, as a Future is an asynchronous operation, but up to the newest release it rejects lvalue
/// operands, and in Boost 1.81 it does not compile for the signature `void(std::exception_ptr, T)`.
/// The partial specialisation below waits by `async_wait`, whose signature is fine everywhere, and
/// reads the value when the coroutine resumes, so that T needs no default constructor either.
/// `co_await f.async_result()` says the same without it; defining COFUTURES_NO_AWAIT_SPECIALIZATION
/// leaves it out.

namespace cofutures {

template <class T>
class Future;

}  // namespace cofutures

#ifndef COFUTURES_NO_AWAIT_SPECIALIZATION

// The name is qualified, not nested in reopened namespaces: it then also finds the primary template
// of an Asio that has an inline namespace in between.
template <class Signature, class T, class Executor>
class boost::asio::detail::awaitable_async_op<Signature, cofutures::Future<T>, Executor> {
    using Handler = awaitable_async_op_handler<void(boost::system::error_code), Executor>;

public:
    template <class F, class... Location>
    awaitable_async_op(F&& future, awaitable_frame_base<Executor>* frame, const Location&...)
        : future_(std::forward<F>(future)), frame_(frame) {}

    bool await_ready() const { return future_.done(); }

    void await_suspend(detail::coroutine_handle<void>) {
        suspended_ = true;
        frame_->after_suspend(
            [](void* arg) {
                auto* self = static_cast<awaitable_async_op*>(arg);
                self->future_.async_wait(Handler(self->frame_->detach_thread(), self->result_));
            },
            this
        );
    }

    T await_resume() {
        if (suspended_) {
            Handler::resume(result_);  // throws if the wait was cancelled
        }
        return std::move(future_).result();
    }

private:
    cofutures::Future<T> future_;
    awaitable_frame_base<Executor>* frame_;
    typename Handler::result_type result_{};
    bool suspended_ = false;
};

#endif
