#include <cofutures/observer.hpp>

namespace cofutures {

ExecutorObserver::~ExecutorObserver() = default;

void ExecutorObserver::task_queued(const TaskEvent& /*event*/) noexcept {}
void ExecutorObserver::task_started(const TaskEvent& /*event*/) noexcept {}
void ExecutorObserver::task_finished(const TaskEvent& /*event*/, TaskOutcome /*outcome*/) noexcept {
}

}  // namespace cofutures
