#pragma once

#include <cofutures/executor_stats.hpp>
#include <cofutures/export.hpp>
#include <cofutures/future.hpp>
#include <cofutures/map.hpp>
#include <cofutures/task_options.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/executor_base.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/map_start.hpp>
#include <cofutures/detail/portable_task.hpp>
#include <cofutures/detail/submit_calls.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
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
class COFUTURES_EXPORT Executor
    : public detail::SubmitCalls<detail::ExecutorBase, detail::PortableTasks> {
public:
    /// As leaving Python's `with`: each executor's destructor calls shutdown().
    ~Executor() override;

    /// Takes no more work and lets go of what is used.
    ///
    /// What was submitted still runs. Calling again is fine, also with stronger arguments.
    ///
    /// @param wait            Return only when all work has ended and threads and processes are
    /// gone.
    /// @param cancel_futures  Cancel all that has not begun.
    /// @throws DeadlockError  if `wait` is asked for inside one of this executor's own tasks, and
    ///                        nothing has been done then; or in another's task that one of its own
    ///                        waits for: then it takes no more work and ends when it can.
    /// @thread_safety         Shared objects: safe.
    /// @python                Executor.shutdown(wait=True, *, cancel_futures=False). Difference:
    ///                        Python closes the executor before it refuses to wait in its own task.
    virtual void shutdown(bool wait = true, bool cancel_futures = false) = 0;

    /// Takes no more work, and waits for at most `timeout` until all work has ended.
    ///
    /// @returns Whether all work ended in time, and threads and processes are gone. If not it goes
    ///          on ending, and so does a later shutdown().
    /// @throws DeadlockError  inside one of this executor's own tasks; nothing has been done then.
    /// @thread_safety         Shared objects: safe.
    /// @python                none.
    template <class Rep, class Period>
    bool shutdown_for(std::chrono::duration<Rep, Period> timeout, bool cancel_futures = false) {
        return shutdown_until(detail::deadline_after(timeout), cancel_futures);
    }

    /// Takes no more work, and waits as an Asio operation until all work has ended: for threads
    /// that must not block, such as an io_context's. It takes no more work from the call on, also
    /// if the operation is deferred and starts later.
    ///
    /// @param token  Completion token for `void(boost::system::error_code)`: done, or
    ///               operation_aborted if the operation was cancelled; the executor ends all the
    ///               same. The executor may be destroyed when it is done, and that does not block.
    /// @python       none.
    template <
        boost::asio::completion_token_for<void(boost::system::error_code)> CompletionToken =
            boost::asio::use_awaitable_t<>>
    auto async_shutdown(CompletionToken&& token = CompletionToken(), bool cancel_futures = false) {
        return begin_shutdown(cancel_futures).async_wait(std::forward<CompletionToken>(token));
    }

    /// Counts what there is and what was done, in one consistent snapshot.
    ///
    /// @thread_safety  Shared objects: safe.
    /// @python         none.
    [[nodiscard]] virtual ExecutorStats stats() const = 0;

    /// Calls `fn` with the elements of one or more ranges side by side, and gives the results in
    /// the order of the input. The shortest range ends it.
    ///
    /// All elements are taken and copied before it returns; those of a container that is passed as
    /// an rvalue are moved. In this process items do not cost a task each: workers take small ones
    /// in grains, and each result is there as soon as its own call has returned. To worker
    /// processes items travel in chunks.
    ///
    /// @param fn      One copy is called by several threads at once, as const, with rvalues; what
    ///                shall stay a reference is to be wrapped in std::ref. A callable whose first
    ///                parameter is a std::stop_token gets one, which the range's end asks to stop.
    ///                A process pool sends what submit() can send.
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

    /// Takes no more work; gives a future that ends when all work has ended.
    virtual Future<void> begin_shutdown(bool cancel_futures) = 0;

private:
    /// As shutdown_for().
    virtual bool shutdown_until(const detail::Deadline& deadline, bool cancel_futures) = 0;
};

}  // namespace cofutures
