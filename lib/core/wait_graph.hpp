#pragma once

#include "core/task_place.hpp"

namespace cofutures::detail {

/// Keep the graph from being changed, for a fork in between. By the same thread.
void lock_wait_graph() noexcept;
void unlock_wait_graph() noexcept;

/// For a wait without a deadline on a thread that is no worker.
///
/// @throws DeadlockError  if what is awaited can end on the calling thread only.
void refuse_endless_wait(StateBase& awaited);

/// The calling worker waits without a deadline, as long as this object lives.
///
/// All such waits of the process make a graph: a worker waits for a future, whose task runs on a
/// worker or stands in the queue of a pool, or which depends on other futures. The wait that would
/// close a cycle in it is refused. A queued task counts as waiting for one of its pool's workers.
class WaitEdge {
public:
    /// @throws DeadlockError  if the wait could never end; the text names the tasks.
    WaitEdge(WorkerContext& worker, StateBase& awaited);
    WaitEdge(const WaitEdge&) = delete;
    WaitEdge& operator=(const WaitEdge&) = delete;
    ~WaitEdge();

private:
    WorkerContext& worker_;
};

}  // namespace cofutures::detail
