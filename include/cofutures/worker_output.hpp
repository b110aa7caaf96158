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
/// `fn(const WorkerOutput&)`.
///
/// @code{.cpp} run
/// #include <cofutures/process_pool_executor.hpp>
/// #include <cassert>
/// #include <cstdio>
/// #include <string>
///
/// int main(int argc, char** argv) {
///     cofutures::freeze_support(argc, argv);
///     std::string seen;
///     cofutures::ProcessPoolExecutor pool(
///         {.on_worker_output = [&](const cofutures::WorkerOutput& output) { seen = output.line; }}
///     );
///     pool.submit([] { std::puts("hello"); }).result();
///     assert(seen == "hello");
/// }
/// @endcode
///
/// It is called on the pool's thread, as callbacks of futures are, one line at a time: one that
/// takes long holds up results, and one that waits for a future of the pool waits for ever. It may
/// submit. What it throws goes to the handler of set_callback_error_handler().
///
/// Lines come in order within one stream, not between two. All that a worker wrote before its task
/// ended comes before the task's future is done, and all that it wrote at all before its end is
/// told; a worker's `stdout` is line-buffered, and flushed with each task. A line of more than 64
/// KiB comes in parts, the last one need not have ended. A worker whose lines are not taken waits
/// in its write. What a process that a task has left behind writes after the worker's end is lost,
/// and its writes fail.
class WorkerOutputHandler {
public:
    /// No handler: workers write where this process does.
    WorkerOutputHandler() = default;

    template <class Fn>
    requires(
        !std::is_same_v<std::remove_cvref_t<Fn>, WorkerOutputHandler> &&
        (std::is_invocable_v<std::decay_t<Fn>&, WorkerId, std::string_view> ||
         std::is_invocable_v<std::decay_t<Fn>&, const WorkerOutput&>)
    ) WorkerOutputHandler(Fn&& fn) {  // NOLINT: an option's value, and hides no copy
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
