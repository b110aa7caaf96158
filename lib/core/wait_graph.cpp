#include "core/wait_graph.hpp"

#include <cofutures/error.hpp>

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace cofutures::detail {

namespace {

// Guards the workers of all pools and what they wait for. One for the process, as waits lead from
// pool to pool; taken only by workers that are about to sleep, and when one starts or ends.
constinit std::mutex graph_mutex;

// Tasks run in place on top of each other until this much of the stack is used: a fraction of what
// threads have by default.
constexpr std::ptrdiff_t deep_stack_bytes = 1024 * 1024;

thread_local constinit const char* stack_base = nullptr;

}  // namespace

/// Finds out whether a future could never end if the calling worker waited for it. Under
/// graph_mutex.
///
/// What can go on is proved, and the rest is stuck: a worker that waits can go on if what it waits
/// for can end, and that may depend on any of several workers, which may wait for each other. The
/// search takes what it comes to a second time for stuck, and keeps what it has proved to be able
/// to go on; it is repeated until nothing is proved anew.
class WaitGraph {
public:
    /// @param caller  Null for a thread that is no worker.
    explicit WaitGraph(const WorkerContext* caller) : caller_(caller) {}

    /// Whether `future` cannot end before the calling worker goes on.
    bool cannot_end(const StatePtr& future) {
        std::size_t known = 0;
        do {
            known = free_.size();
            seen_.clear();
            path_.clear();
            if (!is_stuck(future)) {
                return false;
            }
        } while (free_.size() != known);
        return true;
    }

    static void add(TaskPool& pool, const WorkerContext& worker) {
        pool.workers_.push_back(&worker);
    }
    static void remove(TaskPool& pool, const WorkerContext& worker);
    static void set_awaited(WorkerContext& worker, StateBase* awaited) {
        worker.awaited_ = awaited;
    }

    [[nodiscard]] std::string describe() const {
        std::string text = "the wait would never end: ";
        if (away_) {
            return text + "in a forked child there are none of the pool's threads; make another "
                          "pool in the child, or fork before the call is submitted";
        }
        if (path_.empty()) {
            return text + "it blocks a thread of the very context that is to end it; co_await the "
                          "future, or wait on another thread";
        }
        text += label(*caller_);
        for (auto it = path_.rbegin(); it != path_.rend(); ++it) {
            text += ", which waits for " + *it;
        }
        return text;
    }

private:
    bool is_stuck(StatePtr future) {
        for (;;) {
            if (future->done()) {
                return false;
            }
            Dependencies needs = future->dependencies();
            if (needs.futures.empty()) {
                return is_stuck_at_its_place(*future);
            }
            if (needs.futures.size() > 1) {
                kept_.push_back(future);  // no other future is to get its address
                return search(future.get(), [&] { return is_stuck_in_all_or_one(needs); });
            }
            future = std::move(needs.futures.front());
        }
    }

    bool is_stuck_in_all_or_one(const Dependencies& needs) {
        const auto stuck = [this](const StatePtr& one) {
            return is_stuck(one);
        };
        return needs.any_suffices ? std::ranges::all_of(needs.futures, stuck)
                                  : std::ranges::any_of(needs.futures, stuck);
    }

    /// Looks at a worker or a future unless that has been done.
    template <class Look>
    bool search(const void* what, Look look) {
        if (free_.contains(what)) {
            return false;
        }
        if (!seen_.insert(what).second) {
            return true;
        }
        const std::size_t way = path_.size();
        const bool stuck = look();
        if (!stuck) {
            free_.insert(what);
            path_.resize(way);
        }
        return stuck;
    }

    bool is_stuck_at_its_place(const StateBase& future) {
        const TaskPlace* place = future.place();
        if (place == nullptr) {
            return false;  // a promise, or work that is nobody's here: it may end at any time
        }
        const WorkerContext* const worker = place->worker();
        const auto& pool =
            worker != nullptr ? worker->pool() : static_cast<const TaskPool&>(*place);
        if (!pool.is_at_home()) {
            away_ = true;
            return true;
        }
        if (worker != nullptr) {
            return is_stuck(*worker, &future);
        }
        if (pool.needs_this_thread()) {
            return true;
        }
        if (pool.workers_.size() < pool.most_workers()) {
            return false;
        }
        // It is queued, or a coroutine that has begun: any of the workers will do for it.
        const std::size_t way = path_.size();
        for (const WorkerContext* any : pool.workers_) {
            const std::size_t found = path_.size();
            if (!is_stuck(*any)) {
                path_.resize(way);
                return false;
            }
            if (found > way) {
                path_.resize(found);  // one way to the caller is enough for a message
            }
        }
        if (path_.size() > way) {
            path_.push_back(label(future));
        }
        return true;
    }

    /// @param task  What the worker runs that is waited for; null for whatever it runs.
    bool is_stuck(const WorkerContext& worker, const StateBase* task = nullptr) {
        if (&worker == caller_) {
            if (task != nullptr && task != worker.task_) {
                path_.push_back(label(worker));  // which it runs in place, and so waits for
            }
            path_.push_back(task == nullptr ? label(worker) : label(*task));
            return true;
        }
        if (worker.awaited_ == nullptr) {
            return false;
        }
        const std::size_t way = path_.size();
        if (!search(&worker, [&] { return is_stuck(StatePtr(worker.awaited_)); })) {
            return false;
        }
        if (path_.size() > way) {
            path_.push_back(task == nullptr ? label(worker) : label(*task));
        }
        return true;
    }

    static std::string label(const StateBase& task) { return '"' + task.label() + '"'; }
    static std::string label(const WorkerContext& worker) {
        return worker.task_ == nullptr ? std::string(worker.pool().worker_label())
                                       : label(*worker.task_);
    }

    const WorkerContext* const caller_;
    bool away_ = false;  // a pool of another process is among them
    std::vector<StatePtr> kept_;
    std::set<const void*> seen_;     // in this search: workers, and futures that need several
    std::set<const void*> free_;     // those of them that were proved to be able to go on
    std::vector<std::string> path_;  // from the caller back to what it waits for
};

WorkerContext::WorkerContext(TaskPool& pool, std::string name, bool substitute)
    : pool_(pool), account_(pool.account()), name_(std::move(name)), substitute_(substitute) {
    const char here = 0;
    stack_base = &here;  // NOLINT: an address to measure from, never looked at
    const std::lock_guard lock(graph_mutex);
    WaitGraph::add(pool_, *this);
    current_ = this;
}

WorkerContext::~WorkerContext() {
    current_ = nullptr;
    const std::lock_guard lock(graph_mutex);
    WaitGraph::remove(pool_, *this);
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
    counts.busy = busy && !substitute_ ? 1 : 0;
    return counts;
}

namespace {

void add_to(TaskCounts& sum, const TaskCounts& counts) noexcept {
    sum.begun += counts.begun;
    sum.completed += counts.completed;
    sum.failed += counts.failed;
    sum.busy += counts.busy;
}

}  // namespace

void WaitGraph::remove(TaskPool& pool, const WorkerContext& worker) {
    std::erase(pool.workers_, &worker);
    add_to(pool.gone_, worker.counts());
}

TaskCounts TaskPool::count_tasks() const {
    const std::lock_guard lock(graph_mutex);
    TaskCounts sum = gone_;
    // Before what has begun, as in counts().
    sum.completed += completed_elsewhere_.load(std::memory_order_acquire);
    sum.failed += failed_elsewhere_.load(std::memory_order_acquire);
    for (const WorkerContext* worker : workers_) {
        add_to(sum, worker->counts());
    }
    return sum;
}

void lock_wait_graph() noexcept {
    graph_mutex.lock();
}
void unlock_wait_graph() noexcept {
    graph_mutex.unlock();
}

bool WorkerContext::is_deep() const noexcept {
    const char here = 0;
    return std::abs(stack_base - &here) > deep_stack_bytes;
}

namespace {

// Tasks that wait for tasks would need more stack with each: when much is in use, the next one runs
// on a thread of its own, on which this one waits.
bool run_on_fresh_stack(StateBase& task, WorkerContext& worker) {
    bool ran = false;
    try {
        const WaitEdge edge(worker, task, WaitEdge::Unchecked());
        std::thread([&] {
            try {
                worker.pool().begin_substitute();
                {
                    const WorkerContext substitute(worker.pool(), worker.name(), true);
                    task.run();
                    ran = true;
                }
                worker.pool().end_substitute();
            } catch (...) {
                ran = false;  // the initializer's: the task stays for a proper worker
            }
        }).join();
    } catch (const std::system_error&) {
        ran = false;  // no thread to be had: the task stays in the queue
    }
    return ran;
}

}  // namespace

bool run_dependency_in_place(StateBase& awaited, WorkerContext& worker) {
    StatePtr future(&awaited);
    for (;;) {
        if (future->done()) {
            return false;
        }
        Dependencies needs = future->dependencies();
        if (needs.futures.empty()) {
            if (future->place() != &worker.pool() || !worker.pool().runs_in_place() ||
                future->phase() != Phase::pending) {
                return false;
            }
            if (worker.is_deep()) {
                return run_on_fresh_stack(*future, worker);
            }
            future->run();
            return true;
        }
        if (needs.futures.size() > 1) {
            bool ran = false;
            for (const StatePtr& one : needs.futures) {
                if (future->done()) {
                    break;
                }
                ran |= run_dependency_in_place(*one, worker);
            }
            return ran;
        }
        future = std::move(needs.futures.front());
    }
}

TaskPool::~TaskPool() {
    const std::lock_guard lock(graph_mutex);
}

void refuse_endless_wait(StateBase& awaited) {
    const std::lock_guard lock(graph_mutex);
    WaitGraph graph(nullptr);
    if (graph.cannot_end(StatePtr(&awaited))) {
        throw DeadlockError(graph.describe());
    }
}

WaitEdge::WaitEdge(WorkerContext& worker, StateBase& awaited) : worker_(worker) {
    const std::lock_guard lock(graph_mutex);
    WaitGraph graph(&worker);
    if (graph.cannot_end(StatePtr(&awaited))) {
        throw DeadlockError(graph.describe());
    }
    WaitGraph::set_awaited(worker_, &awaited);
}

WaitEdge::WaitEdge(WorkerContext& worker, StateBase& awaited, Unchecked /*tag*/) : worker_(worker) {
    const std::lock_guard lock(graph_mutex);
    WaitGraph::set_awaited(worker_, &awaited);
}

WaitEdge::~WaitEdge() {
    const std::lock_guard lock(graph_mutex);
    WaitGraph::set_awaited(worker_, nullptr);
}

}  // namespace cofutures::detail
