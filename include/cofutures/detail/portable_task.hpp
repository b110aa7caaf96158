#pragma once

#include <cofutures/codec.hpp>
#include <cofutures/detail/huge_pages.hpp>
#include <cofutures/detail/remote_call.hpp>
#include <cofutures/detail/remote_task.hpp>
#include <cofutures/detail/task.hpp>
#include <cofutures/detail/task_descriptor.hpp>

#include <cstdint>
#include <exception>
#include <utility>

namespace cofutures::detail {

/// A task that can run in this process or in another. `Call` is its RemoteCall.
template <class Call, class T, class Fn, class... Args>
class PortableTask : public Task<T, Fn, Args...>, public RemoteTask {
public:
    template <class F, class... A>
    explicit PortableTask(F&& fn, A&&... args)
        : Task<T, Fn, Args...>(std::forward<F>(fn), to_store<A>(args)...),
          function_(Call::function(this->callable())) {}

    RemoteTask* remote() noexcept override { return this; }

    [[nodiscard]] const TaskDescriptor& descriptor() const noexcept override {
        return Call::descriptor();
    }
    [[nodiscard]] std::uintptr_t function() const noexcept override { return function_; }

    void encode_arguments(Encoder& encoder) override {
        this->with_arguments([&](Args&... args) { Call::encode_arguments(encoder, args...); });
        this->destroy_work();
        this->work_is_gone();
    }

    void finish_from(Decoder& decoder) noexcept override {
        std::exception_ptr error;
        try {
            this->store_result_of([&]() -> decltype(auto) {
                return decode_all<typename Call::result_type>(decoder);
            });
        } catch (...) {
            error = std::current_exception();
        }
        if (error) {
            this->finish_with_error(std::move(error));
        } else {
            this->finish_with_value();
        }
    }

private:
    template <class Result>
    static Result decode_all(Decoder& decoder) {
        if constexpr (std::is_void_v<Result>) {
            decoder.expect_end();
        } else {
            auto result = cofutures::decode<Result>(decoder);
            decoder.expect_end();
            return result;
        }
    }

    const std::uintptr_t function_;
};

/// Calls that can leave the process where that is possible, and stay here where it is not.
struct PortableTasks {
    template <class Fn, class... Args>
    using Value = TaskValue<Fn, Args...>;

private:
    template <class Call, class Fn, class... Args>
    struct TypeOf {
        using type = LocalTasks::Type<Fn, Args...>;
    };
    template <class Call, class Fn, class... Args>
    requires(Call::remotable && !std::is_reference_v<TaskValue<Fn, Args...>>) struct TypeOf<
        Call,
        Fn,
        Args...> {
        using type =
            PortableTask<Call, TaskValue<Fn, Args...>, std::decay_t<Fn>, std::decay_t<Args>...>;
    };

public:
    template <class Fn, class... Args>
    using Type =
        typename TypeOf<RemoteCall<std::decay_t<Fn>, std::decay_t<Args>...>, Fn, Args...>::type;
};

/// Calls that leave the process; any other does not compile, and the message says why.
struct RemoteTasks {
    template <class Fn, class... Args>
    using Value = std::remove_cvref_t<TaskValue<Fn, Args...>>;

private:
    // One that must not be made stands as a local task, so that the reason is the only error.
    template <class Call, class Fn, class... Args>
    struct TypeOf {
        static consteval bool refuse() {
            static_assert(
                !AwaitedCall<Fn, Args...>::is_coroutine,
                "a coroutine cannot be sent to another process: give it to an executor of this one"
            );
            if constexpr (!AwaitedCall<Fn, Args...>::is_coroutine) {
                Call::require_remotable();
            }
            return true;
        }
        static_assert(refuse());
        using type = LocalTasks::Type<Fn, Args...>;
    };
    template <class Call, class Fn, class... Args>
    requires Call::remotable struct TypeOf<Call, Fn, Args...> {
        using type =
            PortableTask<Call, Value<Fn, Args...>, std::decay_t<Fn>, std::decay_t<Args>...>;
    };

public:
    template <class Fn, class... Args>
    using Type =
        typename TypeOf<RemoteCall<std::decay_t<Fn>, std::decay_t<Args>...>, Fn, Args...>::type;

    /// The same for a function that is named at compile time.
    template <auto fn, class... Args>
    using ConstantType = typename TypeOf<
        RemoteConstantCall<fn, std::decay_t<Args>...>,
        std::remove_const_t<decltype(fn)>,
        Args...>::type;
};

}  // namespace cofutures::detail
