#pragma once

#include <compare>
#include <concepts>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string_view>
#include <type_traits>
#include <utility>

namespace cofutures {

/// Names a worker process of a pool.
struct WorkerId {
    /// Counts the workers of the pool from 1; never used again.
    std::uint64_t number = 0;
    /// Its process id, which the system may give to another process when the worker has ended.
    std::int64_t pid = 0;

    friend auto operator<=>(const WorkerId&, const WorkerId&) = default;
    /// Writes `worker 3 (4711)`.
    friend std::ostream& operator<<(std::ostream& out, const WorkerId& id) {
        return out << "worker " << id.number << " (" << id.pid << ')';
    }
};

/// A line that a worker wrote to one of its standard streams.
struct WorkerOutput {
    WorkerId worker;
    /// Whether it came from the error stream.
    bool is_error = false;
    /// Name of the task that the worker was running when the line arrived; empty if none.
    std::string_view task;
    /// Without the line's end.
    std::string_view line;
};

/// What is called with each line that a worker writes: `fn(WorkerId, std::string_view line)` or
/// `fn(const WorkerOutput&)`. It must not throw.
class WorkerOutputHandler {
public:
    /// No handler: workers write where this process does.
    WorkerOutputHandler() = default;

    template <class Fn>
    requires(
        !std::is_same_v<std::remove_cvref_t<Fn>, WorkerOutputHandler> &&
        (std::is_invocable_v<std::decay_t<Fn>&, WorkerId, std::string_view> ||
         std::is_invocable_v<std::decay_t<Fn>&, const WorkerOutput&>)
    ) WorkerOutputHandler(Fn&& fn) {  // NOLINT(google-explicit-constructor): an option's value
        if constexpr (std::is_invocable_v<std::decay_t<Fn>&, const WorkerOutput&>) {
            handler_ = std::forward<Fn>(fn);
        } else {
            handler_ = [fn = std::decay_t<Fn>(std::forward<Fn>(fn))](const WorkerOutput& output
                       ) mutable {
                std::invoke(fn, output.worker, output.line);
            };
        }
    }

    explicit operator bool() const noexcept { return static_cast<bool>(handler_); }
    void operator()(const WorkerOutput& output) const { handler_(output); }

private:
    std::function<void(const WorkerOutput&)> handler_;
};

}  // namespace cofutures
