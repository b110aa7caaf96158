#pragma once

#include <cofutures/observer.hpp>
#include <cofutures/detail/state_base.hpp>

namespace cofutures::detail {

/// Tell an observer what becomes of a task, on the calling thread.
void report_queued(ExecutorObserver& observer, const StateBase& task) noexcept;
void report_started(ExecutorObserver& observer, const StateBase& task) noexcept;
void report_finished(
    ExecutorObserver& observer, const StateBase& task, TaskOutcome outcome
) noexcept;

}  // namespace cofutures::detail
