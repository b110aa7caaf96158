#pragma once

#include <cstdint>

namespace cofutures::detail {

/// What is known of the tasks that were sent to a worker process while it is busy with another, by
/// their numbers: each is begun by the worker, or prevented, whatever comes first.
///
/// @thread_safety  Safe.
class AheadTasks {
public:
    AheadTasks() = default;
    AheadTasks(const AheadTasks&) = delete;
    AheadTasks& operator=(const AheadTasks&) = delete;

    /// Whether the worker has begun it.
    [[nodiscard]] virtual bool begun(std::uint64_t number) const noexcept = 0;

    /// Sees to it that the worker does not begin it; false if it has.
    [[nodiscard]] virtual bool prevent(std::uint64_t number) noexcept = 0;

    /// A task that was prevented is cancelled: the pool strikes it off. May do anything that a
    /// callback may.
    virtual void cancelled(std::uint64_t task) noexcept = 0;

protected:
    ~AheadTasks() = default;
};

}  // namespace cofutures::detail
