#include "core/run_in_place.hpp"

#include <cstddef>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cofutures::detail {

namespace {

// Tasks that wait for tasks would need more stack with each: when much is in use, the next one runs
// on a thread of its own, on which this one waits. The graph of waits knows of that from the moment
// when the thread is ready to run it.
bool run_on_fresh_stack(StateBase& task, WorkerContext& worker) {
    const StatePtr running(&task);
    bool ran = false;
    try {
        std::thread([&] {
            try {
                worker.pool().begin_substitute();
                {
                    const WorkerContext substitute(worker.pool(), worker.name(), &worker);
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

bool run_if_it_has_not_begun(StateBase& task, WorkerContext& worker) {
    if (task.place() != &worker.pool() || !worker.pool().runs_in_place() ||
        task.phase() != Phase::pending) {
        return false;
    }
    if (worker.is_deep()) {
        return run_on_fresh_stack(task, worker);
    }
    const StatePtr running = worker.pool().take_back(task);
    running->run();
    return true;
}

// A future that needs several others, and how far they have been looked at.
struct Gathering {
    StatePtr future;
    std::vector<StatePtr> needed;
    std::size_t next = 0;
};

}  // namespace

bool run_dependency_in_place(StateBase& awaited, WorkerContext& worker) {
    if (run_if_it_has_not_begun(awaited, worker)) {
        return true;
    }
    bool ran = false;
    // Not by recursion, and each future once: gatherings may be nested as deep as one likes, and
    // have parts in common.
    std::vector<Gathering> open;
    std::unordered_map<const StateBase*, StatePtr> seen;  // kept, so that no other gets the address
    StatePtr future(&awaited);
    for (;;) {
        while (!future->done()) {
            Dependencies needs = future->dependencies();
            if (needs.futures.empty()) {
                ran |= run_if_it_has_not_begun(*future, worker);
                break;
            }
            if (needs.futures.size() == 1) {
                if (!open.empty() && !seen.try_emplace(future.get(), future).second) {
                    break;  // another way led here
                }
                future = std::move(needs.futures.front());
                continue;
            }
            if (seen.try_emplace(future.get(), future).second) {
                open.push_back({std::move(future), std::move(needs.futures)});
            }
            break;
        }
        while (!open.empty() &&
               (open.back().next == open.back().needed.size() || open.back().future->done())) {
            open.pop_back();
        }
        if (open.empty()) {
            return ran;
        }
        future = std::move(open.back().needed[open.back().next++]);
    }
}

}  // namespace cofutures::detail
