#pragma once

#include <cofutures/executor.hpp>
#include <cofutures/export.hpp>
#include <cofutures/freeze_support.hpp>
#include <cofutures/future.hpp>
#include <cofutures/process_pool_options.hpp>
#include <cofutures/register_exception.hpp>
#include <cofutures/detail/portable_task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/is_executor.hpp>

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace cofutures {

namespace process {
class ProcessPool;
}  // namespace process

/// Runs calls in worker processes: a crash, a leak or a hostile input stays out of this process.
///
/// Workers are this same program, started again by Boost.Process; `main` begins with
/// freeze_support(). Tasks and results travel over Asio pipes of their own, so a task may use the
/// standard streams.
///
/// @code{.cpp} run
/// bool is_even(long n) { return n % 2 == 0; }
///
/// int main(int argc, char** argv) {
///     cofutures::freeze_support(argc, argv);
///     cofutures::ProcessPoolExecutor pool;
///     auto even = pool.submit(is_even, 112272535095293);
///     auto size = pool.submit([](const std::string& s) { return s.size(); }, "abc");
///     assert(!even.result());
///     assert(size.result() == 3);
///     assert(pool.submit<&is_even>(4).result());
/// }
/// @endcode
///
/// **What can be sent.** Functions, captureless lambdas and other callables without data. Arguments
/// and results are copied by `Codec`: most types need nothing, see <cofutures/codec.hpp>. A
/// reference arrives as a value; but map(), and submit() through an Executor&, give references
/// where the function does, and refuse it with SerializationError. Anything else does not compile.
///
/// **Workers** start on demand, one when a call finds none idle. A worker runs one task at a time;
/// `running()` means that it does, and what has not begun can be cancelled. Only calls that prove
/// to take less than a fifth of a millisecond are sent ahead to a busy worker, so many as it does
/// in a millisecond, and are taken back from one that does not get on. A worker inherits no
/// descriptor but its pipes and the standard streams, leads a process group of its own, and ends
/// when this process does, even by SIGKILL. It meets the signals of a fresh program. A process that
/// a task leaves behind lives on after a worker that ended by itself, and dies with one that is
/// killed.
///
/// **Failure.** What a task throws arrives as the same type if that is one of the standard
/// library's or of this library's, `boost::system::system_error` with a code of Asio's, or
/// registered by register_exception(); else as RemoteError. If a worker dies the pool is broken:
/// every pending future gets a BrokenProcessPool of its own, later submits throw one. With
/// `WorkerDeath::replace` only the task that the worker ran fails, with WorkerDiedError, or is run
/// again, as its TaskOptions::retries says; a future is pending between two runs. The pool is
/// broken also if no worker can be started, or if the pool itself runs out of memory: then the
/// cause is nested. A worker that cannot be started while others live is done without. When workers
/// are replaced and die before they are ready, others are started ever more slowly; the pool is
/// broken after five in a row, if no other worker is ready.
///
/// **Time.** TaskOptions::timeout counts from when the task is sent to a worker that is idle. One
/// that overruns it gets TaskTimeoutError, if its result was not read before; its worker is ended,
/// with what it has started, and replaced. That breaks no pool, and no such task is run again.
///
/// **Room.** With ProcessPoolOptions::max_queue so many tasks wait beside those that workers can
/// take at once. A chunk of a map is one task. Callbacks of the pool's futures, and threads that
/// are known to run the pool's io_context, never wait for room: they go over the bound.
///
/// **Threads.** One thread, started with the first submit, reads what workers send; it ends futures
/// and so runs their callbacks. A callback that takes long holds up results, and one that waits for
/// another future of the same pool, or for a task that destroys the pool, gets DeadlockError. It
/// may submit, shut down without waiting, and destroy the pool, which then ends by itself. This
/// program's signal handlers never run on that thread.
///
/// **On an io_context.** A pool that is made with an Asio executor has no thread: workers are
/// started, read and ended, and callbacks run, by whoever runs that executor, one handler at a
/// time. Somebody must run it. A thread that runs it must not wait for the pool: `result()` without
/// a timeout and shutdown(true) throw DeadlockError there, where Asio knows it; await futures, and
/// async_shutdown(). The destructor does not wait: what was submitted still runs, as long as the
/// context does. If the context is destroyed first, futures that are pending get BrokenProcessPool,
/// and workers are killed.
///
/// **fork().** The workers stay those of the process that made the pool. In a forked child whatever
/// is asked of it throws BrokenProcessPool, a wait for one of its calls that has not ended throws
/// DeadlockError, cancelling a call changes nothing for the parent, and the destructor does
/// nothing. A pool that the child makes itself works. With the caller's executor the child must not
/// run that executor's context on, as handlers of the pool are in it.
///
/// **Lifetime.** The destructor waits for all that was submitted, unless it runs inside a callback,
/// or the pool has no thread of its own.
/// Futures outlive the pool.
///
/// @thread_safety  Shared objects: safe, but for destroying.
/// @python         ProcessPoolExecutor. Workers are always new processes ("spawn"); arguments that
///                 cannot be decoded fail their own future instead of breaking the pool.
class COFUTURES_EXPORT ProcessPoolExecutor
    : public detail::SubmitCalls<Executor, detail::RemoteTasks> {
public:
    /// Makes a pool with the default options. No process is started.
    ///
    /// @throws Error  in a worker process that has not reached freeze_support().
    ProcessPoolExecutor();

    /// Makes a pool of at most `max_workers` processes.
    ///
    /// @throws std::invalid_argument  "max_workers must be greater than 0".
    /// @throws Error                  in a worker process that has not reached freeze_support().
    explicit ProcessPoolExecutor(int max_workers);

    /// Makes a pool with options.
    ///
    /// @throws std::invalid_argument  for a bad option, in Python's words.
    /// @throws Error                  in a worker process that has not reached freeze_support().
    explicit ProcessPoolExecutor(ProcessPoolOptions options);

    /// Makes a pool without a thread of its own: what it would do runs on an Asio executor.
    ///
    /// The context has work from the first submit until the pool is shut down and all workers have
    /// ended. See "On an io_context" above.
    ///
    /// @param executor  An io_context's, a strand, an `asio::thread_pool`'s; any number of threads.
    /// @throws std::invalid_argument  for a bad option, in Python's words.
    /// @throws Error                  in a worker process that has not reached freeze_support().
    template <class AsioExecutorType>
    requires(!std::same_as<AsioExecutorType, ProcessPoolExecutor> && (boost::asio::is_executor<AsioExecutorType>::value || boost::asio::execution::is_executor<AsioExecutorType>::value) && std::constructible_from<boost::asio::any_io_executor, const AsioExecutorType&>) explicit ProcessPoolExecutor(
        const AsioExecutorType& executor, ProcessPoolOptions options = {}
    )
        : ProcessPoolExecutor(
              boost::asio::any_io_executor(executor), running_check(executor), std::move(options)
          ) {}

    /// Waits until all that was submitted has run: shutdown(true). With the caller's executor it
    /// does not wait.
    ~ProcessPoolExecutor() override;

    using SubmitCalls::submit;

    /// Has a function called that is named at compile time: `pool.submit<&is_prime>(n)`. Messages
    /// name it then by its name, not by its type.
    ///
    /// @throws (as submit())
    template <auto fn, class... Args>
    requires detail::Submittable<decltype(fn), Args...>
    auto submit(Args&&... args) {
        return enqueue_task(detail::new_task<detail::RemoteTasks::ConstantType<fn, Args...>>(
            fn, std::forward<Args>(args)...
        ));
    }
    template <auto fn, class... Args>
    requires detail::Submittable<decltype(fn), Args...>
    auto submit(const TaskOptions& options, Args&&... args) {
        return enqueue_task(detail::new_task_with<detail::RemoteTasks::ConstantType<fn, Args...>>(
            options, fn, std::forward<Args>(args)...
        ));
    }

    /// @copydoc Executor::shutdown
    void shutdown(bool wait = true, bool cancel_futures = false) override;

    /// Shuts down at once: cancels what has not begun and asks all workers to end, by SIGTERM.
    ///
    /// Tasks that ran fail with BrokenProcessPool. It does not wait; shutdown() does. A worker that
    /// does not end of the signal, as a task handles it, leaves when that task has returned.
    ///
    /// @thread_safety  Shared objects: safe.
    /// @python         ProcessPoolExecutor.terminate_workers(). Works after shutdown() too.
    void terminate_workers();

    /// As terminate_workers(), by SIGKILL, which no worker can refuse.
    ///
    /// @python  ProcessPoolExecutor.kill_workers().
    void kill_workers();

    /// @copydoc Executor::stats
    [[nodiscard]] ExecutorStats stats() const override;

    /// Process ids of the workers that are there now, in no order.
    [[nodiscard]] std::vector<pid_t> worker_pids() const;

protected:
    [[nodiscard]] std::shared_ptr<detail::TaskSink> task_sink() override;
    void enqueue(detail::StatePtr task) override;
    bool try_enqueue(detail::StatePtr task) override;
    Future<void> enqueue_when_room(detail::StatePtr task) override;
    Future<void> begin_shutdown(bool cancel_futures) override;

private:
    ProcessPoolExecutor(
        boost::asio::any_io_executor executor,
        std::function<bool()> is_inside,
        ProcessPoolOptions options
    );

    bool shutdown_until(const detail::Deadline& deadline, bool cancel_futures) override;

    // Asks an executor whether the calling thread runs it; empty if it cannot tell.
    template <class AsioExecutorType>
    static std::function<bool()> running_check(const AsioExecutorType& executor) {
        if constexpr (requires {
                          { executor.running_in_this_thread() } -> std::convertible_to<bool>;
                      }) {
            return [executor] {
                return executor.running_in_this_thread();
            };
        } else {
            return {};
        }
    }

    std::shared_ptr<process::ProcessPool> pool_;
};

}  // namespace cofutures
