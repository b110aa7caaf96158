#pragma once

#include <cofutures/executor.hpp>
#include <cofutures/export.hpp>
#include <cofutures/future.hpp>
#include <cofutures/observer.hpp>
#include <cofutures/on_full.hpp>
#include <cofutures/detail/task.hpp>

#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstddef>
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
    /// Called in each thread that the initializer succeeded in, when the thread leaves. What it
    /// throws is reported as an exception of a callback: see set_callback_error_handler().
    std::function<void()> finalizer{};
    /// The most tasks that may wait to begin; at least 1. Default: no bound. A task makes room when
    /// it begins or is cancelled. The tasks of a map() go over the bound: there is at most one for
    /// each worker.
    std::optional<std::size_t> max_queue{};
    /// What submit() does when there is no room.
    OnFull on_full = OnFull::block;
    /// A thread that had nothing to do for so long ends; more than zero. A later call starts
    /// another, which may get the number of one that ended. Default: threads stay. All stay once
    /// get_executor() was called, as Asio lets none go.
    std::optional<std::chrono::nanoseconds> idle_timeout{};
    /// How many more threads there may be while workers block, in a wait of this library or in a
    /// blocking_region: one for each that does, so that the queue moves and no more than
    /// `max_workers` calls are at work. At least 0. They leave when they have had nothing to do for
    /// a tenth of a second.
    int max_extra_threads = 0;
    /// Is told what becomes of the tasks; null for nobody.
    std::shared_ptr<ExecutorObserver> observer{};
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
/// begin in the order submitted, those of a higher TaskOptions::priority first: exactly so with one
/// thread; with several, neighbours may swap, and so may what calls on two of the threads submit. A
/// call that overruns TaskOptions::timeout is asked to stop.
///
/// **Waiting inside a task** is what tasks may do. `result()`, `wait`, `as_completed` and `map` in
/// a task, on a future of the same pool that has not begun, run that very call in place, and no
/// other. A cycle of tasks that wait for each other, over several pools too, is found when the last
/// wait would close it: that wait throws DeadlockError, which names the tasks. Refused likewise are
///
/// - with all threads waiting, a wait for what goes on as a handler of get_executor(), as only a
///   free thread runs that: a coroutine of the pool (`co_await` it from another one instead), a
///   continuation `then(pool.get_executor(), fn)`, a call that the free submit() posted there; also
///   where somebody else might cancel it. Of operations of Asio's own nothing is known, nor what
///   else waits for its turn on a strand;
/// - a wait for a `when_all` that holds the task itself, though another part's error might end it;
/// - a `submit` that waits for room in another pool, all of whose workers wait for the task;
/// - a wait with `FIRST_EXCEPTION`, perhaps later, when a future that could have ended it returns.
///
/// A wait with a timeout ends by itself and is no part of it. Calls run in place when much of the
/// stack is in use get a thread of their own for the time.
///
/// **Asio.** `get_executor()` gives an Asio executor on the same threads, for timers, sockets and
/// coroutines; submitted calls leave it its turn.
///
/// **Lifetime.** The destructor waits for all that was submitted. If it runs in a task of another
/// pool, and a task of this one waits for that, this could never end: the wait of the task in the
/// pool that is destroyed is ended with DeadlockError. That cannot be done, and the destructor does
/// not return, if a coroutine of this pool awaits that task, or what waits for it is a handler of
/// async_shutdown() or a std::stop_callback. Futures outlive the pool.
///
/// **fork().** In a forked child the pool has no threads: whatever is asked of it there throws
/// BrokenThreadPool, a wait for one of its calls that has not ended throws DeadlockError, and its
/// destructor does nothing. A pool that the child makes itself works.
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

    /// Waits until all that was submitted has run, as shutdown(true) does, and is never refused.
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
    /// use the executor, submitted calls give way to them at short intervals. When the pool has
    /// ended, or its last thread could not be initialized, handlers are not run any more, and what
    /// was posted is destroyed with the pool; a wait for what a handler is to do throws
    /// DeadlockError. Nothing may use the executor after the pool, no continuation on it either.
    ///
    /// @throws std::system_error  if no thread can be started.
    /// @throws BrokenThreadPool   if an initializer has failed; in a forked child.
    [[nodiscard]] executor_type get_executor();

protected:
    [[nodiscard]] std::shared_ptr<detail::TaskSink> task_sink() override;
    void enqueue(detail::StatePtr task) override;
    bool try_enqueue(detail::StatePtr task) override;
    Future<void> enqueue_when_room(detail::StatePtr task) override;
    boost::asio::any_io_executor make_strand() override;
    Future<void> begin_shutdown(bool cancel_futures) override;

private:
    bool shutdown_until(const detail::Deadline& deadline, bool cancel_futures) override;

    std::shared_ptr<thread::ThreadPool> pool_;
};

}  // namespace cofutures
