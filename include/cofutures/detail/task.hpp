#pragma once

#include <cofutures/export.hpp>
#include <cofutures/task_options.hpp>
#include <cofutures/detail/state.hpp>
#include <cofutures/detail/type_label.hpp>

#include <boost/asio/awaitable.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// Whether a call wants a std::stop_token in front of the arguments that it was given. Not asked
/// with one if it does without: a generic callable may not compile with it.
template <class Fn, class... Args>
inline constexpr bool takes_stop_token = std::conjunction_v<
    std::negation<std::is_invocable<Fn, Args...>>,
    std::is_invocable<Fn, std::stop_token, Args...>>;

/// Whether `submit(fn, args...)` has a call to make, of decayed copies passed as rvalues.
template <class Fn, class... Args>
concept Submittable = std::is_invocable_v<std::decay_t<Fn>, std::decay_t<Args>...> ||
    std::is_invocable_v<std::decay_t<Fn>, std::stop_token, std::decay_t<Args>...>;

template <class Fn, class... Args>
struct CallResult : std::invoke_result<Fn, Args...> {};
template <class Fn, class... Args>
requires takes_stop_token<Fn, Args...>
struct CallResult<Fn, Args...> : std::invoke_result<Fn, std::stop_token, Args...> {
};

/// What a call gives in the end: of a coroutine, what is awaited.
template <class R>
struct Awaited {
    static constexpr bool is_coroutine = false;
    using type = R;
};
template <class T, class AsioExecutor>
struct Awaited<boost::asio::awaitable<T, AsioExecutor>> {
    static constexpr bool is_coroutine = true;
    using type = T;
    using executor_type = AsioExecutor;
};

/// The same of a submitted call.
template <class Fn, class... Args>
using AwaitedCall = Awaited<typename CallResult<std::decay_t<Fn>, std::decay_t<Args>...>::type>;

/// The T of the Future<T> that a submitted call gives.
template <class Fn, class... Args>
using TaskValue = FutureValue<typename AwaitedCall<Fn, Args...>::type>;

/// State, callable, arguments and room for the result of a call, in one allocation.
///
/// Callable and arguments live until the call has ended, or will not be made: they are destroyed
/// before the future is done.
///
/// @tparam stoppable  Whether somebody listens to a request to stop.
template <bool stoppable, class T, class Fn, class... Args>
class StoredCall : public State<T> {
public:
    template <class F, class... A>
    explicit StoredCall(F&& fn, A&&... args)
        : work_(std::forward<F>(fn), std::forward<A>(args)...) {}

    [[nodiscard]] std::string label() const override { return type_label<Fn>(); }

    bool request_stop() noexcept override {
        if constexpr (stoppable) {
            if (!this->done()) {
                stop_.request_stop();
                return true;
            }
        }
        return false;
    }

protected:
    ~StoredCall() override {
        if (this->phase() == Phase::pending && this->has_work()) {
            std::destroy_at(std::addressof(work_));
        }
    }

    /// The stored callable and arguments, until they are destroyed.
    [[nodiscard]] Fn& callable() noexcept { return std::get<0>(work_); }
    template <class Use>
    decltype(auto) with_arguments(Use&& use) {
        return std::apply(
            [&](Fn& /*fn*/, Args&... args) -> decltype(auto) {
                return std::forward<Use>(use)(args...);
            },
            work_
        );
    }

    /// Makes the call.
    decltype(auto) call() {
        const auto invoke = [](auto&... parts) -> decltype(auto) {
            return std::invoke(std::move(parts)...);
        };
        if constexpr (takes_stop_token<Fn, Args...>) {
            return std::apply(
                [&](Fn& fn, Args&... args) -> decltype(auto) {
                    std::stop_token token = stop_.get_token();
                    return invoke(fn, token, args...);
                },
                work_
            );
        } else {
            return std::apply(invoke, work_);
        }
    }

    [[nodiscard]] std::stop_token stop_token() const noexcept { return stop_.get_token(); }

    void destroy_work() noexcept override { std::destroy_at(std::addressof(work_)); }

private:
    struct NoToken {};

    // Outside of the union: a request may come while the work is being destroyed.
    [[no_unique_address]] std::conditional_t<stoppable, std::stop_source, NoToken> stop_;
    union {
        std::tuple<Fn, Args...> work_;
    };
};

/// A call that is to be run.
template <class T, class Fn, class... Args>
class Task : public StoredCall<takes_stop_token<Fn, Args...>, T, Fn, Args...> {
public:
    using StoredCall<takes_stop_token<Fn, Args...>, T, Fn, Args...>::StoredCall;

    void run() noexcept override {
        StateBase* outer = nullptr;
        if (!this->begin_run(outer)) {
            return;
        }
        std::exception_ptr error;
        try {
            this->store_result_of([this]() -> decltype(auto) { return this->call(); });
        } catch (...) {
            error = std::current_exception();
        }
        this->destroy_work();
        this->end_run(outer, error != nullptr);
        if (error) {
            this->finish_with_error(std::move(error));
        } else {
            this->finish_with_value();
        }
    }

protected:
    ~Task() override = default;
};

template <class AsioExecutor, class T, class Fn, class... Args>
class CoroutineTask;

/// A task that was submitted with options. `TaskType` is what it would be without.
template <class TaskType>
class TaskWithOptions final : public TaskType {
public:
    template <class... A>
    explicit TaskWithOptions(const TaskOptions& options, A&&... args)
        : TaskType(std::forward<A>(args)...), name_(options.name), options_(options) {
        options_.name = name_;
    }

    [[nodiscard]] const TaskOptions* options() const noexcept override { return &options_; }
    [[nodiscard]] std::string label() const override {
        return name_.empty() ? TaskType::label() : name_;
    }

private:
    const std::string name_;
    TaskOptions options_;
};

/// Throws std::invalid_argument for options that make no sense.
COFUTURES_EXPORT void check(const TaskOptions& options);

template <class TaskType, class... A>
boost::intrusive_ptr<TaskType> new_task(A&&... args) {
    auto* const task = new TaskType(std::forward<A>(args)...);
    task->add_first_reference();
    return boost::intrusive_ptr<TaskType>(task, false);
}
template <class TaskType, class... A>
boost::intrusive_ptr<TaskWithOptions<TaskType>>
new_task_with(const TaskOptions& options, A&&... args) {
    check(options);
    return new_task<TaskWithOptions<TaskType>>(options, std::forward<A>(args)...);
}

/// Calls that stay in this process: the types of their tasks and of their futures' values.
struct LocalTasks {
    template <class Fn, class... Args>
    using Value = TaskValue<Fn, Args...>;

private:
    template <class Awaited, class... Parts>
    struct TypeOf {
        using type = Task<Parts...>;
    };
    template <class Awaited, class... Parts>
    requires Awaited::is_coroutine struct TypeOf<Awaited, Parts...> {
        using type = CoroutineTask<typename Awaited::executor_type, Parts...>;
    };

public:
    template <class Fn, class... Args>
    using Type = typename TypeOf<
        AwaitedCall<Fn, Args...>,
        TaskValue<Fn, Args...>,
        std::decay_t<Fn>,
        std::decay_t<Args>...>::type;
};

/// Makes a task of a callable and arguments, stored as decayed copies.
template <class Fn, class... Args>
auto make_task(Fn&& fn, Args&&... args) {
    return new_task<LocalTasks::Type<Fn, Args...>>(
        std::forward<Fn>(fn), std::forward<Args>(args)...
    );
}

}  // namespace cofutures::detail
