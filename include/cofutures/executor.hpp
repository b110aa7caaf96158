#pragma once

#include <cofutures/export.hpp>
#include <cofutures/future.hpp>
#include <cofutures/map.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/map_start.hpp>
#include <cofutures/detail/remote_task.hpp>
#include <cofutures/detail/task.hpp>

#include <memory>
#include <ranges>
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
    /// Callable and arguments are copied or moved into the task as `std::thread` does it, and
    /// passed on as rvalues; wrap what shall stay a reference in std::ref. Both may be move-only.
    /// They are destroyed before the future is done. A callable whose first parameter is a
    /// std::stop_token, in front of `args`, gets one: see Future::request_stop().
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
    /// @param wait            Return only when all work has ended and threads and processes are
    /// gone.
    /// @param cancel_futures  Cancel all that has not begun.
    /// @throws DeadlockError  if `wait` is asked for inside one of this executor's own tasks.
    /// @thread_safety         Shared objects: safe.
    /// @python                Executor.shutdown(wait=True, *, cancel_futures=False).
    virtual void shutdown(bool wait = true, bool cancel_futures = false) = 0;

    /// Calls `fn` with the elements of one or more ranges side by side, and gives the results in
    /// the order of the input. The shortest range ends it.
    ///
    /// All elements are taken and copied before it returns; those of a container that is passed as
    /// an rvalue are moved. In this process items do not cost a task each: workers take small ones
    /// in grains, and each result is there as soon as its own call has returned. To worker
    /// processes items travel in chunks.
    ///
    /// @param fn      One copy is called by several threads at once, as const, with rvalues; wrap
    /// what
    ///                shall stay a reference in std::ref. A callable whose first parameter is a
    ///                std::stop_token gets one, which the range's end asks to stop. A process pool
    ///                sends what submit() can send.
    /// @param ranges  Input ranges.
    /// @throws ShutdownError       after shutdown().
    /// @throws BrokenExecutor      if the executor broke.
    /// @throws SerializationError  by a process pool, if such a call cannot leave the process.
    /// @throws (the inputs' own)   what iterating throws; what has not begun is cancelled.
    /// @thread_safety  Shared objects: safe.
    /// @complexity     Linear in the number of items, which are held until they are given out.
    /// @python         Executor.map(fn, *iterables), as of Python 3.16.
    template <class Fn, std::ranges::input_range... Ranges>
    requires(sizeof...(Ranges) > 0 && detail::Mappable<Fn, std::ranges::range_value_t<Ranges>...>)
        [[nodiscard]] auto map(Fn&& fn, Ranges&&... ranges)
            -> MapRange<detail::MapValue<Fn, Ranges...>> {
        return map(MapOptions(), std::forward<Fn>(fn), std::forward<Ranges>(ranges)...);
    }

    /// Calls `fn` with the elements of ranges, with options.
    ///
    /// With MapOptions::buffersize elements are taken when there is room, by the thread that reads
    /// the results, and endless inputs are fine; a container that was passed as an lvalue must then
    /// live as long as it is read. Views are kept by value.
    ///
    /// @throws std::invalid_argument  for a bad option, in Python's words.
    /// @throws (as above)
    template <class Fn, std::ranges::input_range... Ranges>
    requires(sizeof...(Ranges) > 0 && detail::Mappable<Fn, std::ranges::range_value_t<Ranges>...>)
        [[nodiscard]] auto map(const MapOptions& options, Fn&& fn, Ranges&&... ranges)
            -> MapRange<detail::MapValue<Fn, Ranges...>> {
        return MapRange<detail::MapValue<Fn, Ranges...>>(detail::start_map(
            task_sink(), options, true, std::forward<Fn>(fn), std::forward<Ranges>(ranges)...
        ));
    }

    /// As map(), with each result as soon as it is there: in the order of completion.
    ///
    /// @python  none.
    template <class Fn, std::ranges::input_range... Ranges>
    requires(sizeof...(Ranges) > 0 && detail::Mappable<Fn, std::ranges::range_value_t<Ranges>...>)
        [[nodiscard]] auto map_unordered(Fn&& fn, Ranges&&... ranges)
            -> MapRange<detail::MapValue<Fn, Ranges...>> {
        return map_unordered(MapOptions(), std::forward<Fn>(fn), std::forward<Ranges>(ranges)...);
    }
    template <class Fn, std::ranges::input_range... Ranges>
    requires(sizeof...(Ranges) > 0 && detail::Mappable<Fn, std::ranges::range_value_t<Ranges>...>)
        [[nodiscard]] auto map_unordered(const MapOptions& options, Fn&& fn, Ranges&&... ranges)
            -> MapRange<detail::MapValue<Fn, Ranges...>> {
        return MapRange<detail::MapValue<Fn, Ranges...>>(detail::start_map(
            task_sink(), options, false, std::forward<Fn>(fn), std::forward<Ranges>(ranges)...
        ));
    }

protected:
    Executor() = default;

    /// What a map submits its tasks to, also when the executor is gone.
    ///
    /// The default goes through enqueue(), so the executor must outlive each map that is not
    /// closed.
    [[nodiscard]] virtual std::shared_ptr<detail::TaskSink> task_sink();

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
