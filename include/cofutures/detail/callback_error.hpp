#pragma once

#include <cofutures/export.hpp>

#include <exception>

namespace cofutures::detail {

/// Gives an exception that no future can carry, because a callback or handler threw it, to the
/// installed handler.
COFUTURES_EXPORT void report_callback_error(std::exception_ptr error) noexcept;

/// Gives an exception that nobody looked at to the handler for those, if one is installed.
COFUTURES_EXPORT void report_unobserved_exception(const std::exception_ptr& error) noexcept;

/// Calls `fn()`; what it throws is reported.
template <class Fn>
void run_reporting_errors(Fn&& fn) noexcept {
    try {
        fn();
    } catch (...) {
        report_callback_error(std::current_exception());
    }
}

}  // namespace cofutures::detail
