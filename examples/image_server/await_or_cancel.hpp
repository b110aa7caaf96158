#pragma once

#include <cofutures/future.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <utility>

namespace image_server {

/// Awaits a future; when the wait itself is cancelled, so is the task, if it has not begun.
///
/// A plain `co_await future` leaves the task alone then, as others may wait for it too.
template <class T>
boost::asio::awaitable<T> await_or_cancel(cofutures::Future<T> future) {
    try {
        co_await future.async_wait(boost::asio::use_awaitable);
    } catch (const boost::system::system_error&) {
        future.cancel();
        throw;
    }
    co_return std::move(future).result();
}

}  // namespace image_server
