#include "core/task_place.hpp"

#include "core/wait_graph.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace cofutures::detail {

namespace {

// Tasks run in place on top of each other until this much of the stack is used: a fraction of what
// threads have by default.
constexpr std::ptrdiff_t deep_stack_bytes = std::ptrdiff_t{1024} * 1024;

thread_local constinit const char* stack_base = nullptr;

// Not the address of a variable: an address sanitizer may keep that elsewhere.
const char* stack_position() noexcept {
    return static_cast<const char*>(__builtin_frame_address(0));
}

void add_to(TaskCounts& sum, const TaskCounts& counts) noexcept {
    sum.begun += counts.begun;
    sum.completed += counts.completed;
    sum.failed += counts.failed;
    sum.busy += counts.busy;
}

}  // namespace

// --- TaskPool -----------------------------------------------------------------------------------

TaskPool::~TaskPool() {
    const std::lock_guard lock(wait_graph_mutex);
}

void TaskPool::add(WorkerContext& worker) {
    const std::lock_guard lock(wait_graph_mutex);
    workers_.push_back(&worker);
    if (worker.stands_in_for_ != nullptr) {
        worker.stands_in_for_->stand_in_ = &worker;
    }
}

// Under the mutex.
void TaskPool::remove(WorkerContext& worker) noexcept {
    if (std::exchange(worker.retired_, true)) {
        return;
    }
    std::erase(workers_, &worker);
    add_to(gone_, worker.counts());
    if (worker.stands_in_for_ != nullptr) {
        worker.stands_in_for_->stand_in_ = nullptr;
    }
}

TaskCounts TaskPool::count_tasks() const {
    const std::lock_guard lock(wait_graph_mutex);
    TaskCounts sum = gone_;
    // Before what has begun, as in counts().
    sum.completed += completed_elsewhere_.load(std::memory_order_acquire);
    sum.failed += failed_elsewhere_.load(std::memory_order_acquire);
    for (const WorkerContext* worker : workers_) {
        add_to(sum, worker->counts());
    }
    return sum;
}

// --- WorkerContext ------------------------------------------------------------------------------

WorkerContext::WorkerContext(TaskPool& pool, std::string name, WorkerContext* stands_in_for)
    : pool_(pool), account_(pool.account()), name_(std::move(name)), stands_in_for_(stands_in_for) {
    stack_base = stack_position();
    pool.add(*this);
    current_ = this;
}

WorkerContext::~WorkerContext() {
    current_ = nullptr;
    const std::lock_guard lock(wait_graph_mutex);
    retire();
}

void WorkerContext::retire() noexcept {
    pool_.remove(*this);
}

// Only if the thread begins and ends tasks faster than these few loads take, some hundred times in
// a row, are they not of one moment.
TaskCounts WorkerContext::counts() const noexcept {
    constexpr int attempts = 100;
    TaskCounts counts;
    std::uint64_t left = 0;
    for (int attempt = 0; attempt < attempts; ++attempt) {
        // What has ended before what has begun: never more than that.
        counts.completed = completed_.load(std::memory_order_acquire);
        counts.failed = failed_.load(std::memory_order_acquire);
        left = left_.load(std::memory_order_acquire);
        counts.begun = begun_.load(std::memory_order_acquire);
        if (counts.completed == completed_.load(std::memory_order_relaxed) &&
            counts.failed == failed_.load(std::memory_order_relaxed) &&
            left == left_.load(std::memory_order_relaxed)) {
            break;
        }
    }
    const bool busy = counts.begun != counts.completed + counts.failed + left;
    counts.busy = busy && stands_in_for_ == nullptr ? 1 : 0;
    return counts;
}

bool WorkerContext::is_deep() const noexcept {
    return std::abs(stack_base - stack_position()) > deep_stack_bytes;
}

}  // namespace cofutures::detail
