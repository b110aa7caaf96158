#pragma once

#include "core/sleeper.hpp"
#include "core/task_place.hpp"

#include <atomic>
#include <string>

namespace cofutures::detail {

/// Keep the graph from being changed, for a fork in between. By the same thread.
void lock_wait_graph() noexcept;
void unlock_wait_graph() noexcept;

/// For a wait without a deadline on a thread that is no worker; one that is would need a WaitEdge.
///
/// @throws DeadlockError  if what is awaited could never end if the calling thread waited for it.
void refuse_endless_wait(StateBase& awaited);

/// For the destructor of a pool, which must not return before all has run: waits for the pool's
/// end, and if that could never come, refuses those waits of the pool's workers that keep it from
/// coming.
///
/// @param end  The future that is done when the pool has ended. Not for that pool's own workers.
void wait_for_end(StateBase& end) noexcept;

/// The calling worker waits without a deadline, as long as this object lives.
///
/// All such waits of the process make a graph: a worker waits for a future, whose task runs on a
/// worker or stands in the queue of a pool, or which depends on other futures. The wait that would
/// close a cycle in it is refused. A queued task counts as waiting for one of its pool's workers,
/// and the end of a pool as waiting for all of them.
class WaitEdge {
public:
    /// @param sleeper  Woken if the wait is refused later.
    ///
    /// @throws DeadlockError  if the wait could never end; the text names the tasks.
    WaitEdge(WorkerContext& worker, StateBase& awaited, Sleeper& sleeper);
    WaitEdge(const WaitEdge&) = delete;
    WaitEdge& operator=(const WaitEdge&) = delete;
    ~WaitEdge();

    /// Whether the wait was refused since it began.
    [[nodiscard]] bool is_refused() const noexcept {
        return is_refused_.load(std::memory_order_acquire);
    }

    /// Throws the DeadlockError of a wait that was refused.
    [[noreturn]] void throw_refusal() const;

private:
    friend class WaitGraph;

    WorkerContext& worker_;
    StateBase& awaited_;
    Sleeper& sleeper_;
    std::string refusal_;  // written before is_refused_
    std::atomic<bool> is_refused_{false};
};

}  // namespace cofutures::detail
