#pragma once

#include <cofutures/future.hpp>
#include <cofutures/task_options.hpp>
#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/coroutine_task.hpp>
#include <cofutures/detail/initiate.hpp>
#include <cofutures/detail/make_error.hpp>
#include <cofutures/detail/task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/error.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// Completes `async_submit`: gives the future of a task that was taken.
template <class R>
struct DeliverSubmitted {
    Future<void> taken;
    Future<R> future;

    template <class Handler>
    void operator()(Handler&& handler, bool aborted) {
        if (aborted) {
            if (future.valid()) {
                future.cancel();
            }
            std::forward<Handler>(handler
            )(make_error<boost::system::system_error>(boost::asio::error::operation_aborted),
              Future<R>());
        } else if (std::exception_ptr error = taken.exception()) {
            std::forward<Handler>(handler)(std::move(error), Future<R>());
        } else {
            std::forward<Handler>(handler)(std::exception_ptr(), std::move(future));
        }
    }
};

/// Makes the task of an operation when that is started.
struct TaskMaker {
    template <class T, class... Parts>
    [[nodiscard]] auto make(Parts&&... parts) const {
        return new_task<T>(std::forward<Parts>(parts)...);
    }
};
/// The same with options, which it keeps.
class TaskWithOptionsMaker {
public:
    explicit TaskWithOptionsMaker(const TaskOptions& options)
        : options_(options), name_(options.name) {}

    template <class T, class... Parts>
    [[nodiscard]] auto make(Parts&&... parts) const {
        TaskOptions options = options_;
        options.name = name_;
        return new_task_with<T>(options, std::forward<Parts>(parts)...);
    }

private:
    TaskOptions options_;
    std::string name_;
};

/// The calls by which an executor is given work: one set for all executors.
///
/// @tparam Base   An ExecutorBase, to which it adds them.
/// @tparam Tasks  Which task a call becomes: LocalTasks, PortableTasks, RemoteTasks.
template <class Base, class Tasks>
class SubmitCalls : public Base {
    template <class Fn, class... Args>
    using Value = typename Tasks::template Value<Fn, Args...>;
    template <class Fn, class... Args>
    using TaskType = typename Tasks::template Type<Fn, Args...>;

public:
    /// Has `fn(args...)` called and gives a future of what it returns.
    ///
    /// Callable and arguments are copied or moved into the task as `std::thread` does it, and
    /// passed on as rvalues; wrap what shall stay a reference in std::ref. Both may be move-only.
    /// They are destroyed before the future is done. A callable whose first parameter is a
    /// std::stop_token, in front of `args`, gets one: see Future::request_stop().
    ///
    /// A function that returns an `asio::awaitable<R>` gives a Future<R>: the coroutine is spawned
    /// when its turn in the queue has come, on the executor's threads, on a strand of its own.
    /// Callable and arguments, also a lambda's captures, live until it has ended. Until it begins
    /// cancel() works; then request_stop() reaches it through its std::stop_token, if it takes one,
    /// and as a terminal cancellation of what it awaits. shutdown() waits for its end. In a task of
    /// the same executor do not block until it ends, as it may need that very thread to go on:
    /// `co_await` it.
    ///
    /// @returns Future<R>, where R is what the call returns: a reference stays one, void is fine.
    /// @throws ShutdownError       after shutdown().
    /// @throws BrokenExecutor      if the executor broke (BrokenThreadPool, BrokenProcessPool).
    /// @throws std::system_error   if the executor has no thread, or a process pool no descriptor,
    ///                             to begin with, and the system has none to give.
    /// @throws QueueFullError      if a bounded queue is full and the executor was made to reject.
    /// @throws DeadlockError       if room in a bounded queue is waited for that could never be
    /// made.
    /// @throws SerializationError  by a process pool, if such a call cannot leave the process, as
    ///                             no coroutine can; what can and cannot is said with
    ///                             ProcessPoolExecutor.
    /// @thread_safety  Shared objects: safe.
    /// @complexity     O(1), one allocation; for a coroutine a few more.
    /// @python         Executor.submit(fn, /, *args, **kwargs).
    template <class Fn, class... Args>
    requires Submittable<Fn, Args...>
    auto submit(Fn&& fn, Args&&... args) -> Future<Value<Fn, Args...>> {
        return enqueue_task(
            new_task<TaskType<Fn, Args...>>(std::forward<Fn>(fn), std::forward<Args>(args)...)
        );
    }

    /// Has `fn(args...)` called as the options say: `submit({.priority = 1}, fn, args...)`.
    ///
    /// @throws std::invalid_argument  for a bad option.
    /// @throws (as above)
    /// @python  none.
    template <class Fn, class... Args>
    requires Submittable<Fn, Args...>
    auto submit(const TaskOptions& options, Fn&& fn, Args&&... args) -> Future<Value<Fn, Args...>> {
        return enqueue_task(new_task_with<TaskType<Fn, Args...>>(
            options, std::forward<Fn>(fn), std::forward<Args>(args)...
        ));
    }

    /// As submit(), unless the executor's queue is full.
    ///
    /// @returns Nothing, at once, if there is no room; callable and arguments are destroyed then.
    /// @throws (as submit(), but for QueueFullError)
    /// @python  none.
    template <class Fn, class... Args>
    requires Submittable<Fn, Args...>
    auto try_submit(Fn&& fn, Args&&... args) -> std::optional<Future<Value<Fn, Args...>>> {
        return try_enqueue_task(
            new_task<TaskType<Fn, Args...>>(std::forward<Fn>(fn), std::forward<Args>(args)...)
        );
    }
    template <class Fn, class... Args>
    requires Submittable<Fn, Args...>
    auto try_submit(const TaskOptions& options, Fn&& fn, Args&&... args)
        -> std::optional<Future<Value<Fn, Args...>>> {
        return try_enqueue_task(new_task_with<TaskType<Fn, Args...>>(
            options, std::forward<Fn>(fn), std::forward<Args>(args)...
        ));
    }

    /// Submits as an Asio operation, which waits for room in a full queue without blocking a
    /// thread.
    ///
    /// Tasks that wait for room are taken in the order in which they came. Cancelling the operation
    /// (terminal, partial, total) cancels the task, and completes it with `operation_aborted`.
    /// Each start of an operation that is kept (`asio::deferred`) is a call of its own.
    ///
    /// @param token    Completion token for `void(std::exception_ptr, Future<R>)`; the error is
    /// what
    ///                 submit() would throw. Such as in
    ///                 `auto future = co_await pool.async_submit(asio::use_awaitable, fn, 1);`
    /// @throws std::invalid_argument  for a bad option.
    /// @python  none.
    template <class CompletionToken, class Fn, class... Args>
    requires(Submittable<Fn, Args...>&& boost::asio::completion_token_for<
             CompletionToken,
             void(std::exception_ptr, Future<Value<Fn, Args...>>)>) auto async_submit(CompletionToken&& token, Fn&& fn, Args&&... args) {
        return initiate_submit<CompletionToken, Value<Fn, Args...>, TaskType<Fn, Args...>>(
            token, TaskMaker(), std::forward<Fn>(fn), std::forward<Args>(args)...
        );
    }
    template <class CompletionToken, class Fn, class... Args>
    requires(Submittable<Fn, Args...>&& boost::asio::completion_token_for<CompletionToken, void(std::exception_ptr, Future<Value<Fn, Args...>>)>) auto async_submit(
        CompletionToken&& token, const TaskOptions& options, Fn&& fn, Args&&... args
    ) {
        check(options);
        return initiate_submit<CompletionToken, Value<Fn, Args...>, TaskType<Fn, Args...>>(
            token, TaskWithOptionsMaker(options), std::forward<Fn>(fn), std::forward<Args>(args)...
        );
    }

protected:
    SubmitCalls() = default;

    /// Enqueues a task and gives its future.
    template <class T>
    auto enqueue_task(boost::intrusive_ptr<T> task) {
        auto future = FutureAccess::make_first(*task);
        prepare(*task);
        this->enqueue(StatePtr(task.detach(), false));
        return future;
    }

private:
    // Tells a coroutine where to run.
    template <class T>
    void prepare(T& task) {
        if constexpr (CoroutineTaskType<T>) {
            static_assert(
                std::is_convertible_v<boost::asio::any_io_executor, typename T::coroutine_executor>,
                "a coroutine that an executor shall run must be an asio::awaitable<T>, with its "
                "default executor type"
            );
            task.spawn_on(this->make_strand());
        }
    }

    template <class T>
    auto try_enqueue_task(boost::intrusive_ptr<T> task) {
        std::optional future(FutureAccess::make_first(*task));
        prepare(*task);
        if (!this->try_enqueue(StatePtr(task.detach(), false))) {
            future.reset();
        }
        return future;
    }

    // The parts of the call are the operation's arguments, so that one that is deferred can be
    // started any number of times: each is a call of its own. The token's type is given, not found:
    // of an lvalue it is a reference, and so it is copied.
    template <class CompletionToken, class R, class T, class Make, class... Parts>
    auto
    initiate_submit(std::remove_reference_t<CompletionToken>& token, Make make, Parts&&... parts) {
        return boost::asio::async_initiate<CompletionToken, void(std::exception_ptr, Future<R>)>(
            LambdaInitiation([](auto handler, SubmitCalls* self, const Make& maker, auto&&... given
                             ) {
                Future<R> future;
                Future<void> taken;
                try {
                    auto task = maker.template make<T>(std::forward<decltype(given)>(given)...);
                    future = FutureAccess::make_first(*task);
                    self->prepare(*task);
                    taken = self->enqueue_when_room(StatePtr(task.detach(), false));
                } catch (...) {
                    Promise<void> refused;
                    taken = refused.get_future();
                    refused.set_exception(std::current_exception());
                }
                State<void>& state = FutureAccess::state(taken);
                AsyncOperation<DeliverSubmitted<R>, std::decay_t<decltype(handler)>>::start(
                    state,
                    DeliverSubmitted<R>{std::move(taken), std::move(future)},
                    std::move(handler)
                );
            }),
            token,
            this,
            std::move(make),
            std::forward<Parts>(parts)...
        );
    }
};

}  // namespace cofutures::detail
