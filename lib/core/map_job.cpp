#include <cofutures/detail/map_job.hpp>
#include <cofutures/detail/map_linked_job.hpp>
#include <cofutures/detail/map_numbered_job.hpp>

#include <cofutures/error.hpp>
#include <cofutures/detail/state.hpp>

#include "core/completion_scope.hpp"
#include "core/spin.hpp"
#include "core/task_place.hpp"
#include "core/wait_graph.hpp"

#include <optional>
#include <string>

namespace cofutures::detail {

MapJob::~MapJob() = default;
LinkedMapJob::~LinkedMapJob() = default;
NumberedMapJob::~NumberedMapJob() = default;

std::size_t LinkedMapJob::offer(const MapRun& items, std::exception_ptr& error) {
    MapRun taken = items;
    taken.count = schedule(items, error);
    if (ordered_ && taken.count != 0) {
        if (taken.count != items.count) {
            taken.last = taken.first;
            for (std::size_t i = 1; i < taken.count; ++i) {
                taken.last = taken.last->next;
            }
        }
        queue_.append(taken);
    }
    return taken.count;
}

MapSlot* LinkedMapJob::next(const Deadline& deadline) {
    return ordered_ ? next_in_order(deadline) : next_done(deadline);
}

// --- waiting -------------------------------------------------------------------------------------

// Does what can be done before sleeping; says whether `ready()` came true.
template <class Ready>
bool MapJob::look_until(Ready ready, const Deadline& deadline) {
    if (ready()) {
        return true;
    }
    // What this thread has put off may be what it is about to wait for.
    CompletionScope::run_all();
    if (has_passed(deadline)) {
        return ready();
    }
    if (!deadline && !sink_->is_at_home()) {
        throw DeadlockError(
            "the wait would never end: in a forked child there is nobody to run the items; make "
            "another executor in the child and map with that, or fork before the call of map()"
        );
    }
    if (sink_->runs_this_thread()) {
        while (!ready() && !has_passed(deadline) && help()) {
        }
    }
    if (spin_until(ready)) {
        return true;
    }
    if (!deadline && sink_->is_remote() && sink_->runs_this_thread()) {
        throw DeadlockError(
            "a map over worker processes was read on the very thread that is to bring the results; "
            "read it on another one"
        );
    }
    return false;
}

/// A consumer that is a worker sleeps without a deadline, in the graph of waits.
class MapJob::Sleep final : public Sleeper {
public:
    /// @throws DeadlockError  if the outcome depends on that worker.
    Sleep(MapJob& job, const Deadline& deadline) : job_(job), blocked_(WorkerContext::current()) {
        if (WorkerContext* worker = WorkerContext::current(); worker != nullptr && !deadline) {
            outcome_.reset(new Outcome(job));
            edge_.emplace(worker, *outcome_, *this);
        }
    }

    void wake() noexcept override { job_.wake(); }
    [[nodiscard]] bool is_refused() const noexcept { return edge_ && edge_->is_refused(); }

    /// The consumer has slept, and the outcome has not come.
    void throw_if_refused() const {
        if (is_refused()) {
            edge_->throw_refusal();
        }
    }

private:
    /// What the consumer waits for, as others see it.
    class Outcome final : public State<void> {
    public:
        explicit Outcome(MapJob& job) : job_(job) {}
        Dependencies dependencies(std::size_t /*most*/) override {
            return job_.has_outcome() ? Dependencies() : job_.needs();
        }
        [[nodiscard]] std::string label() const override { return "an item of a map"; }

    private:
        MapJob& job_;
    };

    MapJob& job_;
    // Before the edge, as it may bring a worker that does what is waited for.
    const BlockedWorker blocked_;
    boost::intrusive_ptr<Outcome> outcome_;
    std::optional<WaitEdge> edge_;
};

// Sleeps until `woken()`, which whoever makes it true says by wake(); false if the deadline came
// first, or the wait was refused.
template <class Woken>
bool MapJob::sleep_until(Woken woken, const Sleep& sleep, const Deadline& deadline) {
    std::unique_lock lock(sleep_mutex_);
    if (!deadline) {
        woken_.wait(lock, [&] { return woken() || sleep.is_refused(); });
        return woken();
    }
    return woken_.wait_until(lock, *deadline, woken);
}

void MapJob::wake() noexcept {
    const std::lock_guard lock(sleep_mutex_);
    woken_.notify_one();
}

MapSlot* LinkedMapJob::next_in_order(const Deadline& deadline) {
    std::atomic<MapPhase>& phase = queue_.first->phase;
    const auto is_done = [&] {
        return has_ended(phase.load(std::memory_order_acquire));
    };
    if (!look_until(is_done, deadline)) {
        const Sleep sleep(*this, deadline);
        MapPhase expected = MapPhase::pending;
        if (phase.compare_exchange_strong(expected, MapPhase::awaited, std::memory_order_acq_rel) &&
            !sleep_until(is_done, sleep, deadline)) {
            expected = MapPhase::awaited;
            if (phase.compare_exchange_strong(
                    expected, MapPhase::pending, std::memory_order_acq_rel
                )) {
                sleep.throw_if_refused();
                return nullptr;
            }
        }
    }
    ++delivered_;
    return &queue_.pop_front();
}

MapSlot* LinkedMapJob::next_done(const Deadline& deadline) {
    const auto is_some_done = [&] {
        return queue_.count != 0 || collect_done();
    };
    if (!look_until(is_some_done, deadline)) {
        const Sleep sleep(*this, deadline);
        MapSlot* expected = nullptr;
        const auto is_woken = [&] {
            return done_.load(std::memory_order_acquire) != &sleeper_;
        };
        if (done_.compare_exchange_strong(expected, &sleeper_, std::memory_order_acq_rel) &&
            !sleep_until(is_woken, sleep, deadline)) {
            expected = &sleeper_;
            if (done_.compare_exchange_strong(expected, nullptr, std::memory_order_acq_rel)) {
                sleep.throw_if_refused();
                return nullptr;
            }
        }
        collect_done();
    }
    return &queue_.pop_front();
}

bool NumberedMapJob::wait(std::size_t item, const Deadline& deadline) {
    const auto is_done = [&] {
        return has_ended(phase(item).load(std::memory_order_acquire));
    };
    wanted_ = item;
    if (look_until(is_done, deadline)) {
        return true;
    }
    const Sleep sleep(*this, deadline);
    awaited_.store(item, std::memory_order_relaxed);
    fence_.heavy();
    const bool ended = sleep_until(is_done, sleep, deadline);
    awaited_.store(nobody, std::memory_order_relaxed);
    if (!ended) {
        sleep.throw_if_refused();
    }
    return ended;
}

// --- what is done, in the order of being done ---------------------------------------------------

void LinkedMapJob::push_done(MapSlot& slot) noexcept {
    MapSlot* newest = done_.load(std::memory_order_relaxed);
    do {
        slot.next = newest == &sleeper_ ? nullptr : newest;
    } while (!done_.compare_exchange_weak(
        newest, &slot, std::memory_order_acq_rel, std::memory_order_relaxed
    ));
    if (newest == &sleeper_) {
        wake();
    }
}

bool LinkedMapJob::has_outcome() const noexcept {
    if (ordered_) {
        return has_ended(queue_.first->phase.load(std::memory_order_acquire));
    }
    const MapSlot* done = done_.load(std::memory_order_acquire);
    return done != nullptr && done != &sleeper_;
}

// Moves what is done to the consumer's queue, oldest first; says whether there was any.
bool LinkedMapJob::collect_done() noexcept {
    if (done_.load(std::memory_order_relaxed) == nullptr) {
        return false;
    }
    MapSlot* slot = done_.exchange(nullptr, std::memory_order_acquire);
    MapRun oldest_first;
    while (slot != nullptr) {
        MapSlot* const older = slot->next;
        if (oldest_first.count++ == 0) {
            oldest_first.last = slot;
        }
        slot->next = oldest_first.first;
        oldest_first.first = slot;
        slot = older;
    }
    queue_.append(oldest_first);
    return true;
}

}  // namespace cofutures::detail
