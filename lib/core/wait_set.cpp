#include <cofutures/detail/wait_set.hpp>

#include <cofutures/detail/huge_pages.hpp>
#include <cofutures/detail/wait_queue.hpp>

#include "core/completion_scope.hpp"
#include "core/run_in_place.hpp"
#include "core/wait_graph.hpp"

#include <algorithm>
#include <memory>
#include <optional>

namespace cofutures::detail {

namespace {

bool decides(Goal goal, Phase ended) noexcept {
    switch (goal) {
    case Goal::first_completed:
        return true;
    case Goal::first_exception:
        return ended == Phase::raised;
    case Goal::first_failure:
        return ended != Phase::returned;
    case Goal::all_completed:
        break;
    }
    return false;
}

bool is_reached(std::span<StateBase* const> futures, Goal goal) noexcept {
    std::size_t done = 0;
    for (const StateBase* future : futures) {
        if (future->done()) {
            ++done;
            if (decides(goal, future->phase())) {
                return true;
            }
        }
    }
    return done == futures.size();
}

// A worker looks again whenever one ends: those that are left may all wait for it by now.
void wait_for_each_until_one_raised(std::span<StateBase* const> futures) {
    const WaitQueue::Owner queue = WaitQueue::start(futures, Waiter::Role::thread);
    while (queue->remaining() != 0) {
        const auto ended = queue->pop();
        if (!ended) {
            queue->wait(std::nullopt);
        } else if (decides(Goal::first_exception, futures[*ended]->phase())) {
            return;
        }
    }
}

}  // namespace

// --- WaitSet ------------------------------------------------------------------------------------

void WaitSet::Slot::notify(StateBase& /*state*/) noexcept {
    WaitSet& set = set_;  // the last reference to go takes the slot with it
    set.told(*this);
    set.release();
}

WaitSet::WaitSet(std::span<StateBase* const> futures, Waiter::Role role, Goal goal)
    : slots_(std::allocator<Slot>().allocate(futures.size())), size_(futures.size()), goal_(goal) {
    prefer_huge_pages(slots_, size_ * sizeof(Slot));
    for (std::size_t i = 0; i < size_; ++i) {
        std::construct_at(slots_ + i, *this, *futures[i], role);
    }
}

WaitSet::~WaitSet() {
    std::destroy_n(slots_, size_);
    std::allocator<Slot>().deallocate(slots_, size_);
}

bool WaitSet::block(WaitEvent& event, const Deadline& deadline) {
    struct Standing {
        Standing(WaitEvent& stand_in, const WaitSet& set) : event(stand_in) {
            event.stands_for(&set);
        }
        ~Standing() { event.stands_for(nullptr); }
        WaitEvent& event;
    };
    CompletionScope::run_all();
    if (event.done() || has_passed(deadline)) {
        return event.done();
    }
    while (first_waited_for_ < size_ && !slots_[first_waited_for_].registered) {
        ++first_waited_for_;
    }
    const Standing standing(event, *this);
    if (WorkerContext* worker = WorkerContext::current()) {
        run_in_place(event, deadline, *worker);
    }
    return event.wait_for_others(deadline);
}

// Runs those of the futures' tasks that the worker's pool has not begun, until they are enough.
// What was looked at once is running or done, and need not be looked at by the next wait of this
// set.
void WaitSet::run_in_place(
    const WaitEvent& event, const Deadline& deadline, WorkerContext& worker
) {
    // Another pool's worker may go on with the set.
    if (tried_for_ != &worker.pool()) {
        tried_for_ = &worker.pool();
        tried_in_place_ = 0;
    }
    for (; tried_in_place_ < size_; ++tried_in_place_) {
        if (event.done() || has_passed(deadline)) {
            return;
        }
        const Slot& slot = slots_[tried_in_place_];
        while (slot.registered && run_dependency_in_place(slot.future(), worker)) {
        }
    }
}

Dependencies WaitSet::needs(std::size_t most) const {
    Dependencies needs;
    // Values of all are wanted of a first_failure: one that cannot end is enough for there to be
    // none, and whether an error of another would end the wait is nothing to wait for.
    needs.any_suffices = goal_ == Goal::first_completed || goal_ == Goal::first_exception;
    for (const Slot& slot : slots().subspan(first_waited_for_)) {
        if (needs.any_suffices && needs.futures.size() == most) {
            break;
        }
        if (!slot.registered) {
            continue;
        }
        if (!slot.future().done()) {
            needs.futures.emplace_back(&slot.future());
        } else if (decides(goal_, slot.future().phase())) {
            return {};
        }
    }
    return needs;
}

bool WaitSet::enter(Slot& slot) noexcept {
    hold();
    slot.registered = true;
    if (slot.future().add(slot)) {
        return true;
    }
    slot.registered = false;
    release();
    return false;
}

void WaitSet::leave() noexcept {
    for (Slot& slot : slots()) {
        if (slot.registered && slot.future().remove(slot)) {
            release();
        }
        slot.registered = false;
    }
}

// --- WaitGoal -----------------------------------------------------------------------------------

WaitGoal::WaitGoal(std::span<StateBase* const> futures, Waiter::Role role, Goal goal)
    : WaitSet(futures, role, goal), missing_(futures.size()) {}

void WaitGoal::join() noexcept {
    if (slots().empty()) {
        meet(0);
    }
    for (Slot& slot : slots()) {
        if (met_.load(std::memory_order_relaxed)) {
            break;
        }
        if (!enter(slot)) {
            count(slot);
        }
    }
    pass_gate();
}

const StateBase* WaitGoal::first_failure() const noexcept {
    if (goal() != Goal::first_failure) {
        return nullptr;
    }
    for (const Slot& slot : slots()) {
        const StateBase& future = slot.future();
        if (future.done() && decides(Goal::first_failure, future.phase())) {
            return &future;
        }
    }
    return nullptr;
}

void WaitGoal::count(const Slot& slot) noexcept {
    if (decides(goal(), slot.future().phase()) ||
        missing_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        meet(index_of(slot));
    }
}

void WaitGoal::meet(std::size_t index) noexcept {
    if (!met_.exchange(true, std::memory_order_acq_rel)) {
        deciding_index_ = index;
        pass_gate();
    }
}

void WaitGoal::pass_gate() noexcept {
    if (gate_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        reached(deciding_index_);
    }
}

// --- events -------------------------------------------------------------------------------------

void WaitEvent::set() noexcept {
    if (try_claim()) {
        finish_continuation_with_value();
    }
}

GoalEvent::Owner
GoalEvent::start(std::span<StateBase* const> futures, Waiter::Role role, Goal goal) {
    Owner event(new GoalEvent(futures, role, goal));
    event->hold();
    event->join();
    return event;
}

void wait_until(std::span<StateBase* const> futures, Goal goal, const Deadline& deadline) {
    if (is_reached(futures, goal)) {
        return;
    }
    CompletionScope::run_all();  // as every wait does; here so that a poll registers nothing
    if (has_passed(deadline)) {
        return;
    }
    if (goal == Goal::first_exception && !deadline && WorkerContext::current() != nullptr) {
        wait_for_each_until_one_raised(futures);
        return;
    }
    const GoalEvent::Owner event = GoalEvent::start(futures, Waiter::Role::thread, goal);
    event->block(*event, deadline);
}

}  // namespace cofutures::detail
