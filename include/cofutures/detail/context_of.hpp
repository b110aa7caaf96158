#pragma once

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>

#include <concepts>

namespace cofutures::detail {

/// An executor of the new kind that says which context it is of. Asio lets there be none, and any
/// type be one.
template <class AsioExecutor>
concept HasContextProperty = requires(const AsioExecutor& executor) {
    {
        boost::asio::query(executor, boost::asio::execution::context)
        } -> std::convertible_to<boost::asio::execution_context&>;
};

/// An executor of either kind that says which context it is of.
template <class AsioExecutor>
concept HasContext = HasContextProperty<AsioExecutor> || requires(const AsioExecutor& executor) {
    { executor.context() } -> std::convertible_to<boost::asio::execution_context&>;
};

template <HasContext AsioExecutor>
boost::asio::execution_context& context_of(const AsioExecutor& executor) {
    if constexpr (HasContextProperty<AsioExecutor>) {
        return boost::asio::query(executor, boost::asio::execution::context);
    } else {
        return executor.context();
    }
}

}  // namespace cofutures::detail
