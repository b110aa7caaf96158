#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace cofutures {

/// How one submitted call is treated; each member has a default.
///
/// @code{.cpp} run
/// cofutures::ThreadPoolExecutor pool;
/// auto urgent = pool.submit({.priority = 1, .name = "urgent"}, [] { return 42; });
/// assert(urgent.result() == 42);
/// @endcode
///
/// @python  none.
struct TaskOptions {
    /// Calls of higher priority begin first, those of the same one in the order submitted.
    int priority = 0;
    /// Longest time that the call may run, from when it begins; more than zero. A process pool ends
    /// the worker that overruns it, and the future gets TaskTimeoutError; a thread cannot be ended,
    /// so there the call is asked to stop through its std::stop_token, and its outcome stands.
    std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
    /// What messages, observers and traces call it. Default: the callable's type, or the function
    /// that was named at compile time. Copied by the call that takes the options: what it views
    /// must live until then, so name a string that is put together before. It is a view, as g++ 12
    /// destroys twice what an aggregate owns that is made inside a `co_await` expression.
    std::string_view name = {};
    /// How often a process pool that replaces dead workers runs the call again after the worker
    /// that ran it died; at least 0. Of no effect elsewhere, where no worker dies.
    int retries = 0;
};

}  // namespace cofutures
