#pragma once

#include <cofutures/future.hpp>
#include <cofutures/detail/state_base.hpp>

#include "core/task_place.hpp"

namespace cofutures::detail {

/// Blocks until a bounded queue has taken a task, or has not.
///
/// Any of the pool's workers can make room; in the graph of waits the calling thread waits for
/// them.
///
/// @param taken  What enqueue_when_room() gave for `task`.
/// @param place  Where the pool's queued tasks are.
/// @throws DeadlockError  if all of the pool's workers wait for the caller; the task is withdrawn.
/// @throws                what became of `taken`.
void wait_for_room(const Future<void>& taken, StateBase& task, const TaskPlace& place);

}  // namespace cofutures::detail
