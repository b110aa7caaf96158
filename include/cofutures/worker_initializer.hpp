#pragma once

#include <cofutures/detail/remote_call.hpp>
#include <cofutures/detail/task.hpp>
#include <cofutures/detail/task_descriptor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace cofutures {

namespace detail {

/// A call in the form in which it travels.
struct EncodedCall {
    const TaskDescriptor* descriptor = nullptr;
    std::uintptr_t function = 0;
    std::vector<std::byte> arguments{};
};

}  // namespace detail

/// A call that each worker process makes before its first task: a function, or a callable without
/// data, perhaps with arguments.
///
/// @code{.cpp} run
/// #include <cofutures/process_pool_executor.hpp>
/// #include <cassert>
///
/// int level = 0;
/// void set_level(int to) { level = to; }
///
/// int main(int argc, char** argv) {
///     cofutures::freeze_support(argc, argv);
///     cofutures::ProcessPoolExecutor pool({.initializer = {set_level, 3}});
///     assert(pool.submit([] { return level; }).result() == 3);
///     assert(level == 0);  // here nobody called it
/// }
/// @endcode
///
/// What can be called is what ProcessPoolExecutor::submit() can send; anything else does not
/// compile. What the call returns is dropped; if it throws, the pool breaks, and each future gets
/// a BrokenProcessPool that says what was thrown.
///
/// @thread_safety  Distinct objects: safe. Shared objects: safe, but for assigning.
/// @python         initializer and initargs of ProcessPoolExecutor.
class WorkerInitializer {
public:
    /// No call.
    WorkerInitializer() = default;

    /// Encodes the arguments at once, so one object serves any number of pools.
    ///
    /// @throws SerializationError  if an argument has no encoding.
    /// @throws (the codec's own)   whatever encoding an argument throws.
    template <class Fn, class... Args>
    requires(!std::is_same_v<std::remove_cvref_t<Fn>, WorkerInitializer> && detail::Submittable<Fn, Args...>)
        WorkerInitializer(Fn&& fn, Args&&... args)  // NOLINT(google-explicit-constructor)
        : call_(encode(
              std::decay_t<Fn>(std::forward<Fn>(fn)),
              std::decay_t<Args>(std::forward<Args>(args))...
          )) {}

    explicit operator bool() const noexcept { return call_ != nullptr; }

    /// The call as it is sent; null if there is none. No part of the API.
    [[nodiscard]] const std::shared_ptr<const detail::EncodedCall>& call() const noexcept {
        return call_;
    }

private:
    template <class Fn, class... Args>
    static std::shared_ptr<const detail::EncodedCall> encode(const Fn& fn, Args... args) {
        using Call = detail::RemoteCall<Fn, Args...>;
        if constexpr (!Call::remotable) {
            Call::require_remotable();
            return nullptr;
        } else {
            auto call = std::make_shared<detail::EncodedCall>();
            call->descriptor = &Call::descriptor();
            call->function = Call::function(fn);
            Encoder encoder(call->arguments);
            Call::encode_arguments(encoder, args...);
            return call;
        }
    }

    std::shared_ptr<const detail::EncodedCall> call_;
};

}  // namespace cofutures
