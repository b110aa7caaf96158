#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/context_of.hpp>
#include <cofutures/detail/state_base.hpp>

#include <boost/asio/execution_context.hpp>

namespace cofutures::detail {

/// The place of what a context's handlers go on with: null, unless it is a pool's of this library.
COFUTURES_EXPORT const TaskPlace* place_in(boost::asio::execution_context& context) noexcept;

/// The same of an executor's context, if it has one.
template <class AsioExecutor>
const TaskPlace* place_on([[maybe_unused]] const AsioExecutor& executor) noexcept {
    if constexpr (HasContext<AsioExecutor>) {
        try {
            return place_in(context_of(executor));
        } catch (...) {
            return nullptr;  // it is nobody's that is known
        }
    } else {
        return nullptr;
    }
}

}  // namespace cofutures::detail
