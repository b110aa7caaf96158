#pragma once

#include <cofutures/executor.hpp>
#include <cofutures/executor_stats.hpp>
#include <cofutures/export.hpp>
#include <cofutures/future.hpp>
#include <cofutures/observer.hpp>
#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/coroutine_task.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/place_on.hpp>
#include <cofutures/detail/task.hpp>
#include <cofutures/detail/timed_operation.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/is_executor.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <unordered_set>
#include <utility>

namespace cofutures {

namespace detail {

/// Whether `T` is an Asio executor, of the old kind or the new.
template <class T>
concept AnyAsioExecutor = boost::asio::is_executor<std::decay_t<T>>::value ||
    boost::asio::execution::is_executor<std::decay_t<T>>::value;

/// What is posted to run a task. If the executor drops it, the task's future fails.
class COFUTURES_EXPORT PostedTask {
public:
    explicit PostedTask(StatePtr task) noexcept : task_(std::move(task)) {}
    PostedTask(PostedTask&&) noexcept = default;
    PostedTask& operator=(PostedTask&&) = delete;
    ~PostedTask();

    void operator()() noexcept { std::exchange(task_, nullptr)->run(); }

private:
    StatePtr task_;  // null when it was run, or moved from
};

/// What an AsioExecutor is made of: counts its tasks, and posts each.
///
/// Thread-safe. Kept by the executor, by each task that is posted, and by maps.
class COFUTURES_EXPORT AsioSink : public TaskSink, public std::enable_shared_from_this<AsioSink> {
public:
    void submit(StatePtr task) final;

    /// A strand for a coroutine. Throws ShutdownError, and Error if the Asio executor can have
    /// none.
    [[nodiscard]] boost::asio::any_io_executor make_strand() const;

    [[nodiscard]] std::size_t worker_count() const noexcept final;
    [[nodiscard]] bool runs_this_thread() const noexcept final;
    [[nodiscard]] bool has_other_work() const noexcept final { return true; }

    /// As Executor.
    void shutdown(bool wait, bool cancel_pending);
    Future<void> begin_shutdown(bool cancel_pending);
    bool shutdown_until(const Deadline& deadline, bool cancel_pending);
    [[nodiscard]] ExecutorStats stats() const;

protected:
    class Handler;

    /// @param place  Of what the Asio executor is to run.
    AsioSink(std::shared_ptr<ExecutorObserver> observer, const TaskPlace* place);
    ~AsioSink() override;

    /// Posts the handler, or throws.
    virtual void post(Handler handler) = 0;
    /// Whether the Asio executor says that the calling thread is inside it.
    [[nodiscard]] virtual bool is_inside() const noexcept = 0;
    /// A strand of the Asio executor, or an empty executor.
    [[nodiscard]] virtual boost::asio::any_io_executor strand() const = 0;

private:
    class Account;

    [[nodiscard]] bool runs_task_here() const noexcept;
    [[nodiscard]] bool is_idle() const noexcept { return running_ == 0 && pending_.empty(); }
    bool begin(StateBase* task);
    void end() noexcept;
    void forget(StateBase* task) noexcept;
    void close(bool cancel_pending);
    std::optional<Promise<void>> take_ended() noexcept;

    const std::unique_ptr<Account> account_;
    const TaskPlace* const place_;
    Promise<void> ended_;  // kept when all has ended; guarded by mutex_, then moved from
    const Future<void> ended_future_{ended_.get_future()};

    mutable std::mutex mutex_;  // guards the block that follows
    bool open_ = true;
    bool has_ended_ = false;
    std::unordered_set<StateBase*> pending_;  // kept by their handlers
    std::size_t running_ = 0;                 // handlers that run their task, and submits
};

/// What is posted for a task of an AsioExecutor.
class COFUTURES_EXPORT AsioSink::Handler {
public:
    Handler(std::shared_ptr<AsioSink> sink, StatePtr task) noexcept
        : sink_(std::move(sink)), task_(std::move(task)) {}
    Handler(Handler&&) noexcept = default;
    Handler& operator=(Handler&&) = delete;
    ~Handler();

    void operator()() noexcept;

private:
    std::shared_ptr<AsioSink> sink_;
    StatePtr task_;  // null when it was run, or moved from
};

/// The same for one type of Asio executor.
template <class AsioExecutorType>
class AsioSinkOn final : public AsioSink {
public:
    AsioSinkOn(const AsioExecutorType& executor, std::shared_ptr<ExecutorObserver> observer)
        : AsioSink(std::move(observer), place_on(executor)), executor_(executor) {}

protected:
    void post(Handler handler) override { post_to(executor_, std::move(handler)); }

    [[nodiscard]] bool is_inside() const noexcept override {
        if constexpr (requires {
                          { executor_.running_in_this_thread() } -> std::convertible_to<bool>;
                      }) {
            return executor_.running_in_this_thread();
        } else {
            return false;
        }
    }

    [[nodiscard]] boost::asio::any_io_executor strand() const override {
        if constexpr (HasContext<AsioExecutorType> && std::is_convertible_v<AsioExecutorType, boost::asio::any_io_executor>) {
            return strand_of<boost::asio::any_io_executor>(executor_);
        } else {
            return {};
        }
    }

private:
    const AsioExecutorType executor_;
};

}  // namespace detail

/// Runs calls on any Asio executor: an io_context, a strand, an `asio::thread_pool`.
///
/// @code{.cpp} run
/// boost::asio::thread_pool threads(2);
/// cofutures::AsioExecutor executor(threads.get_executor());
/// auto three = executor.submit([](int a, int b) { return a + b; }, 1, 2);
/// assert(three.result() == 3);
/// @endcode
///
/// Each call is posted as a handler, so the context does not run out of work before it has run, and
/// calls begin in the order in which the Asio executor begins handlers. The items of a map give way
/// to other handlers at short intervals. If the context is destroyed, or drops the handlers
/// otherwise, futures that are pending fail with BrokenExecutor.
///
/// The order is Asio's: TaskOptions::priority has no effect here. A call that overruns
/// TaskOptions::timeout is asked to stop.
///
/// **Somebody must run the context.** Waiting for a future, or in shutdown(), on the only thread
/// that would run it does not end. While something is pending or running, shutdown() throws
/// DeadlockError, and the destructor does not wait, inside a call of the executor's own, on a
/// thread of the ThreadPoolExecutor that the Asio executor is of, and where the Asio executor says
/// that the thread is inside it (`running_in_this_thread`). Beyond that the search for cycles of
/// waits knows only what the threads of a ThreadPoolExecutor do: a task there that waits for a
/// future gets DeadlockError if no thread is free.
///
/// **Lifetime.** The destructor waits for all that was submitted. Futures outlive the executor.
/// Nothing may be submitted once the context is gone.
///
/// @thread_safety  Shared objects: safe, but for destroying.
/// @python         none.
class COFUTURES_EXPORT AsioExecutor : public detail::SubmitCalls<Executor, detail::LocalTasks> {
public:
    /// Makes an executor of an Asio executor.
    ///
    /// @param observer  Is told what becomes of its tasks; null for nobody. The events name a
    /// worker
    ///                  only where that is a thread of a ThreadPoolExecutor.
    template <class AsioExecutorType>
    requires(!std::same_as<AsioExecutorType, AsioExecutor> && detail::AnyAsioExecutor<AsioExecutorType>) explicit AsioExecutor(
        const AsioExecutorType& executor, std::shared_ptr<ExecutorObserver> observer = nullptr
    )
        : sink_(
              std::make_shared<detail::AsioSinkOn<AsioExecutorType>>(executor, std::move(observer))
          ) {}

    /// Waits until all that was submitted has run: shutdown(true).
    ~AsioExecutor() override;

    /// @copydoc Executor::shutdown
    ///
    /// Other handlers of the context do not matter; nor does it end.
    void shutdown(bool wait = true, bool cancel_futures = false) override;

    /// @copydoc Executor::stats
    [[nodiscard]] ExecutorStats stats() const override;

protected:
    void enqueue(detail::StatePtr task) override;
    boost::asio::any_io_executor make_strand() override;
    [[nodiscard]] std::shared_ptr<detail::TaskSink> task_sink() override;
    Future<void> begin_shutdown(bool cancel_futures) override;

private:
    bool shutdown_until(const detail::Deadline& deadline, bool cancel_futures) override;

    std::shared_ptr<detail::AsioSink> sink_;
};

/// Has `fn(args...)` called on an Asio executor, and gives a future of what it returns.
///
/// As Executor::submit(), without an Executor: the call is posted once, and that is all. A
/// coroutine runs on a strand of the executor, or on the executor if that is a strand already. An
/// awaitable for the executor's own type can run on nothing else: then only one thread may run
/// that, if request_stop() is used.
///
/// @param executor  An io_context's, a strand, a pool's; kept from running out of work meanwhile.
/// If it
///                  drops the handler the future fails with BrokenExecutor.
/// @thread_safety   Safe.
/// @complexity      O(1), one allocation beside Asio's.
/// @python          loop.run_in_executor, the other way round.
template <detail::AnyAsioExecutor AsioExecutorType, class Fn, class... Args>
requires detail::Submittable<Fn, Args...>
auto submit(const AsioExecutorType& executor, Fn&& fn, Args&&... args)
    -> Future<detail::TaskValue<Fn, Args...>> {
    auto task = detail::make_task(std::forward<Fn>(fn), std::forward<Args>(args)...);
    auto future = detail::FutureAccess::make_first(*task);
    if constexpr (detail::CoroutineTaskType<std::decay_t<decltype(*task)>>) {
        using CoroutineExecutor = typename std::decay_t<decltype(*task)>::coroutine_executor;
        static_assert(
            std::is_convertible_v<AsioExecutorType, CoroutineExecutor>,
            "the coroutine's executor type must be one that this executor converts to"
        );
        task->spawn_on(detail::strand_of<CoroutineExecutor>(executor));
    }
    task->set_place(detail::place_on(executor));
    detail::post_to(executor, detail::PostedTask(std::move(task)));
    return future;
}

}  // namespace cofutures
