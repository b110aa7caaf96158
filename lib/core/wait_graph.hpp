#pragma once

#include "core/sleeper.hpp"
#include "core/task_place.hpp"

#include <atomic>
#include <mutex>
#include <string>

namespace cofutures::detail {

/// Guards the workers of all pools and what they wait for. One for the process, as waits lead from
/// pool to pool; taken only by threads that sleep without a deadline, before and after, when a
/// worker starts or ends, and for a fork.
extern std::mutex wait_graph_mutex;

/// Looks whether a wait of the calling thread, without a deadline, could ever end. One that is
/// about to sleep makes a WaitEdge, which looks as well.
///
/// @throws DeadlockError  if it could not.
void refuse_endless_wait(StateBase& awaited);

/// A worker is gone that others may have counted on: refuses those waits that could never end now,
/// as far as there is memory to find them. Under the mutex.
void refuse_endless_waits() noexcept;

/// In a forked child, before anything else: none of those who waited is there. Under the mutex.
void forget_waits() noexcept;

/// For the destructor of a pool, which must not return before all has run: waits for the pool's
/// end, and if that could never come, refuses those waits of the pool's workers that keep it from
/// coming.
///
/// @param end  The future that is done when the pool has ended. Not for that pool's own workers.
void wait_for_end(StateBase& end) noexcept;

/// The calling thread waits without a deadline, as long as this object lives.
///
/// All such waits of workers of the process make a graph: a worker waits for a future, whose task
/// runs on a worker or stands in the queue of a pool, or which depends on other futures. The wait
/// that would close a cycle in it is refused. A queued task counts as waiting for one of its pool's
/// workers, and the end of a pool as waiting for all of them. Nothing in it needs a thread that is
/// no worker; but what such a thread waits for may be stuck.
class WaitEdge {
public:
    /// @param worker   The thread's; null if it is no worker.
    /// @param sleeper  Woken if the wait is refused later.
    ///
    /// @throws DeadlockError  if the wait could never end; the text names the tasks.
    WaitEdge(WorkerContext* worker, StateBase& awaited, Sleeper& sleeper);
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

    void refuse(std::string why) noexcept;

    WorkerContext* const worker_;
    StateBase& awaited_;
    Sleeper& sleeper_;
    WaitEdge* next_ = nullptr;  // guarded by the graph's mutex, as is previous_
    WaitEdge* previous_ = nullptr;
    std::string refusal_;  // written before is_refused_
    std::atomic<bool> is_refused_{false};
};

}  // namespace cofutures::detail
