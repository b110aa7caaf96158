#pragma once

#include <cofutures/export.hpp>

namespace cofutures {

namespace detail {
class WorkerContext;
}  // namespace detail

/// Says that the calling task blocks, for as long as this object lives, in something that this
/// library knows nothing of: a system call, a lock, another library's wait.
///
/// A ThreadPoolExecutor that was made with `max_extra_threads` may run another thread meanwhile, so
/// that its queue moves. Waits of this library do that by themselves.
///
/// @code{.cpp} run
/// #include <future>
/// cofutures::ThreadPoolExecutor pool({.max_workers = 1, .max_extra_threads = 1});
/// std::promise<int> number;
/// auto doubled = pool.submit([&] {
///     const cofutures::blocking_region blocks;
///     return 2 * number.get_future().get();
/// });
/// pool.submit([&] { number.set_value(21); });  // has a thread all the same
/// assert(doubled.result() == 42);
/// @endcode
///
/// Regions may be nested. On a thread that is no worker of a thread pool it does nothing.
///
/// @thread_safety  Stays on the thread that made it.
/// @python         none.
class COFUTURES_EXPORT blocking_region {
public:
    [[nodiscard]] blocking_region() noexcept;
    blocking_region(const blocking_region&) = delete;
    blocking_region& operator=(const blocking_region&) = delete;
    ~blocking_region();

private:
    detail::WorkerContext* const worker_;
};

}  // namespace cofutures
