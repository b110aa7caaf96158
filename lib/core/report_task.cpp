#include "core/report_task.hpp"

#include "core/task_place.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace cofutures::detail {

namespace {

template <class Tell>
void report(const StateBase& task, bool on_worker, Tell tell) noexcept {
    std::string name;
    try {
        name = task.label();
    } catch (...) {
        name.clear();  // no memory: it is told without a name
    }
    const WorkerContext* const worker = on_worker ? WorkerContext::current() : nullptr;
    tell(TaskEvent{
        .task = reinterpret_cast<std::uintptr_t>(&task),
        .name = name,
        .worker = worker == nullptr ? std::string_view() : std::string_view(worker->name()),
        .time = std::chrono::steady_clock::now(),
    });
}

}  // namespace

void report_queued(ExecutorObserver& observer, const StateBase& task) noexcept {
    report(task, false, [&](const TaskEvent& event) { observer.task_queued(event); });
}

void report_started(ExecutorObserver& observer, const StateBase& task) noexcept {
    report(task, true, [&](const TaskEvent& event) { observer.task_started(event); });
}

void report_finished(
    ExecutorObserver& observer, const StateBase& task, TaskOutcome outcome
) noexcept {
    report(task, outcome != TaskOutcome::cancelled, [&](const TaskEvent& event) {
        observer.task_finished(event, outcome);
    });
}

}  // namespace cofutures::detail
