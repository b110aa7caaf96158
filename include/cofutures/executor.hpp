#pragma once

#include <cofutures/detail/remote_task.hpp>
#include <cofutures/detail/task.hpp>
#include <cofutures/export.hpp>
#include <cofutures/future.hpp>

#include <utility>

namespace cofutures {

/// Runs calls elsewhere and gives futures of their results: what all executors share.
///
/// Code that takes an `Executor&` works with threads and with worker processes alike:
///
/// @code{.cpp} run
/// const auto count = [](cofutures::Executor& executor, std::string text) {
///     return executor.submit([](const std::string& s) { return s.size(); }, std::move(text));
/// };
/// cofutures::ThreadPoolExecutor pool;
/// assert(count(pool, "four").result() == 4);
/// @endcode
///
/// @thread_safety  Shared objects: safe, but for destroying.
/// @python         concurrent.futures.Executor. Leaving Python's `with` is the destructor here.
class COFUTURES_EXPORT Executor {
public:
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    /// As leaving Python's `with`: each executor's destructor calls shutdown().
    virtual ~Executor();

    /// Has `fn(args...)` called and gives a future of what it returns.
    ///
    /// Callable and arguments are copied or moved into the task as `std::thread` does it, and passed
    /// on as rvalues; wrap what shall stay a reference in std::ref. Both may be move-only. They are
    /// destroyed before the future is done. A callable whose first parameter is a std::stop_token, in
    /// front of `args`, gets one: see Future::request_stop().
    ///
    /// @returns Future<R>, where R is what the call returns: a reference stays one, void is fine.
    /// @throws ShutdownError       after shutdown().
    /// @throws BrokenExecutor      if the executor broke (BrokenThreadPool, BrokenProcessPool).
    /// @throws SerializationError  by a process pool, if such a call cannot leave the process; what
    ///                             can and cannot is said with ProcessPoolExecutor.
    /// @thread_safety  Shared objects: safe.
    /// @complexity     O(1), one allocation.
    /// @python         Executor.submit(fn, /, *args, **kwargs).
    template <class Fn, class... Args>
        requires detail::Submittable<Fn, Args...>
    auto submit(Fn&& fn, Args&&... args) -> Future<detail::TaskValue<Fn, Args...>> {
        return enqueue_task(
            detail::make_portable_task(std::forward<Fn>(fn), std::forward<Args>(args)...)
        );
    }

    /// Takes no more work and lets go of what is used.
    ///
    /// What was submitted still runs. Calling again is fine, also with stronger arguments.
    ///
    /// @param wait            Return only when all work has ended and threads and processes are gone.
    /// @param cancel_futures  Cancel all that has not begun.
    /// @throws DeadlockError  if `wait` is asked for inside one of this executor's own tasks.
    /// @thread_safety         Shared objects: safe.
    /// @python                Executor.shutdown(wait=True, *, cancel_futures=False).
    virtual void shutdown(bool wait = true, bool cancel_futures = false) = 0;

protected:
    Executor() = default;

    /// Takes a pending task to run, or throws and leaves it alone.
    virtual void enqueue(detail::StatePtr task) = 0;

    /// Enqueues a task and gives its future.
    template <class TaskType>
    auto enqueue_task(boost::intrusive_ptr<TaskType> task) {
        auto future = detail::FutureAccess::make(*task);
        enqueue(detail::StatePtr(task.detach(), false));
        return future;
    }
};

}  // namespace cofutures
