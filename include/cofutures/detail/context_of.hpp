#pragma once

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>

#include <concepts>

namespace cofutures::detail {

/// Whether an executor, of the new kind, says which context it is of. Asio lets there be none, and
/// any type be one.
template <class AsioExecutor>
concept HasContext = requires(const AsioExecutor& executor) {
    {
        boost::asio::query(executor, boost::asio::execution::context)
        } -> std::convertible_to<boost::asio::execution_context&>;
};

}  // namespace cofutures::detail
