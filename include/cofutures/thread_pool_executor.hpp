#pragma once

#include <cofutures/executor.hpp>
#include <cofutures/export.hpp>
#include <cofutures/future.hpp>
#include <cofutures/detail/task.hpp>

#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace cofutures {

namespace thread {
class ThreadPool;
}  // namespace thread

/// How a ThreadPoolExecutor is made; each member has a default.
struct ThreadPoolOptions {
    /// The most threads it may have, at least 1. Default: the processors that this process may use
    /// plus 4, at most 32.
    std::optional<int> max_workers{};
    /// Threads are named `thread_name_prefix_0`, `_1`, ... Default: `ThreadPoolExecutor-N`, where N
    /// counts the pools of the process. Where the system cuts names, the number stays.
    std::string thread_name_prefix{};
    /// Called in each thread before its first task. If it throws the pool breaks.
    std::function<void()> initializer{};
};

/// Runs calls on threads: `asio::thread_pool` with futures, and a queue of its own.
///
/// @code{.cpp} run
/// cofutures::ThreadPoolExecutor pool({.max_workers = 2, .thread_name_prefix = "sum"});
/// auto three = pool.submit([](int a, int b) { return a + b; }, 1, 2);
/// assert(three.result() == 3);
/// @endcode
///
/// Threads start on demand, one when a call finds none idle; an idle thread is used first. Calls
/// begin in the order submitted, exactly so with one thread; with several, neighbours may swap.
///
/// **Waiting inside a task** never hangs the pool. `result()`, `wait`, `as_completed` and `map` in
/// a task, on a future of the same pool that has not begun, run that very call in place, and no
/// other. A cycle of tasks that wait for each other, over several pools too, is found when the last
/// wait would close it: that wait throws DeadlockError, which names the tasks. A wait with a
/// timeout ends by itself and is no part of it. Calls run in place when much of the stack is in use
/// get a thread of their own for the time.
///
/// **Asio.** `get_executor()` gives an Asio executor on the same threads, for timers, sockets and
/// coroutines; submitted calls leave it its turn.
///
/// **Lifetime.** The destructor waits for all that was submitted. Futures outlive the pool.
///
/// @thread_safety  Shared objects: safe, but for destroying.
/// @python         ThreadPoolExecutor. Difference: what Python's documentation shows as deadlocks
/// ends.
class COFUTURES_EXPORT ThreadPoolExecutor
    : public detail::SubmitCalls<Executor, detail::LocalTasks> {
public:
    /// The Asio executor of the pool's threads.
    using executor_type = boost::asio::thread_pool::executor_type;

    /// Makes a pool with the default options. No thread is started.
    ThreadPoolExecutor();

    /// Makes a pool of at most `max_workers` threads.
    ///
    /// @throws std::invalid_argument  "max_workers must be greater than 0".
    explicit ThreadPoolExecutor(int max_workers);

    /// Makes a pool with options.
    ///
    /// @throws std::invalid_argument  for a bad option, in Python's words.
    explicit ThreadPoolExecutor(ThreadPoolOptions options);

    /// Waits until all that was submitted has run: shutdown(true).
    ~ThreadPoolExecutor() override;

    /// @copydoc Executor::shutdown
    ///
    /// What was posted to get_executor() counts as work too: `wait` returns when timers and
    /// coroutines that run there have ended.
    void shutdown(bool wait = true, bool cancel_futures = false) override;

    /// @copydoc Executor::stats
    [[nodiscard]] ExecutorStats stats() const override;

    /// An Asio executor on this pool's threads: for post, dispatch, co_spawn, timers, sockets.
    ///
    /// The first call starts all threads, as Asio cannot tell when one is wanted. While handlers
    /// use the executor, submitted calls give way to them at short intervals.
    ///
    /// @throws std::system_error  if no thread can be started.
    [[nodiscard]] executor_type get_executor();

protected:
    [[nodiscard]] std::shared_ptr<detail::TaskSink> task_sink() override;
    void enqueue(detail::StatePtr task) override;
    boost::asio::any_io_executor make_strand() override;
    Future<void> begin_shutdown(bool cancel_futures) override;

private:
    bool shutdown_until(const detail::Deadline& deadline, bool cancel_futures) override;

    std::shared_ptr<thread::ThreadPool> pool_;
};

}  // namespace cofutures
