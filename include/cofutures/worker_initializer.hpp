#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/remote_task.hpp>
#include <cofutures/detail/task.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

namespace cofutures {

/// A call that each worker process makes before its first task: a function, or a callable without
/// data, perhaps with arguments.
///
/// @code{.cpp}
/// cofutures::ProcessPoolExecutor pool({.initializer = load_model});
/// cofutures::ProcessPoolExecutor other({.initializer = {open_log, "workers.log"}});
/// @endcode
///
/// What can be called is what ProcessPoolExecutor::submit() can send; anything else does not
/// compile. Arguments are encoded when a pool is made with it.
///
/// @python  initializer and initargs of ProcessPoolExecutor.
class WorkerInitializer {
public:
    /// No call.
    WorkerInitializer() = default;

    template <class Fn, class... Args>
    requires(!std::is_same_v<std::remove_cvref_t<Fn>, WorkerInitializer> && detail::Submittable<Fn, Args...>)
        WorkerInitializer(Fn&& fn, Args&&... args)  // NOLINT(google-explicit-constructor)
        : task_(detail::new_task<detail::RemoteTasks::Type<Fn, Args...>>(
              std::forward<Fn>(fn), std::forward<Args>(args)...
          )) {}

    explicit operator bool() const noexcept { return task_ != nullptr; }

    /// The call as a task that is never run here; null if there is none.
    [[nodiscard]] const detail::StatePtr& task() const noexcept { return task_; }

private:
    detail::StatePtr task_;
};

}  // namespace cofutures
