#pragma once

#include "core/task_place.hpp"

namespace cofutures::detail {

/// Runs tasks, on the calling worker, that `awaited` depends on and that its pool has not begun:
/// never a task that `awaited` does not need, as that might need what this thread holds.
///
/// @returns Whether it ran one.
bool run_dependency_in_place(StateBase& awaited, WorkerContext& worker);

}  // namespace cofutures::detail
