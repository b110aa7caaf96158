#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/state.hpp>
#include <cofutures/detail/waiter.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>

namespace cofutures::detail {

class WaitEvent;
class WorkerContext;

/// What a wait for several futures waits for.
enum class Goal {
    first_completed,
    first_exception,  ///< the first that raised, else all
    first_failure,    ///< the first that raised or was cancelled, else all
    all_completed,
};

/// One party that waits for many futures: it stands in the list of each with a slot of its own.
///
/// The slots are one allocation, made before anything is registered. Every list that a slot stands
/// in holds a reference to the set, as a future may be telling it at the moment when its owner
/// goes. The owner keeps the futures alive until the set has left them.
class COFUTURES_EXPORT WaitSet {
public:
    WaitSet(const WaitSet&) = delete;
    WaitSet& operator=(const WaitSet&) = delete;

    /// Blocks until `event`, which this set ends, is done or the deadline passes; says whether it
    /// is done. Every thread that waits for several futures waits here.
    bool block(WaitEvent& event, const Deadline& deadline);

    /// The futures that are waited for and not done, or so many if any of them suffices; none if
    /// one that is done, and is about to tell, decides. While the owner is in block(), or by it.
    [[nodiscard]] Dependencies needs(std::size_t most) const;

    /// How an owner ends the wait, whatever has become of it: for std::unique_ptr.
    struct Leave {
        void operator()(WaitSet* set) const noexcept {
            set->leave();
            set->release();
        }
    };

protected:
    /// The set's entry in the list of one future.
    class Slot final : public Waiter {
    public:
        Slot(WaitSet& set, StateBase& future, Role role) noexcept
            : Waiter(role), set_(set), future_(&future) {}

        void notify(StateBase& state) noexcept override;

        [[nodiscard]] StateBase& future() const noexcept { return *future_; }

        Slot* next = nullptr;     ///< link for a list that the set keeps
        bool registered = false;  ///< may stand in the future's list; the owner's

    private:
        WaitSet& set_;
        StateBase* const future_;
    };

    WaitSet(std::span<StateBase* const> futures, Waiter::Role role, Goal goal);
    virtual ~WaitSet();

    [[nodiscard]] Goal goal() const noexcept { return goal_; }

    [[nodiscard]] std::span<Slot> slots() const noexcept { return {slots_, size_}; }
    [[nodiscard]] std::size_t index_of(const Slot& slot) const noexcept {
        return static_cast<std::size_t>(&slot - slots_);
    }

    /// Registers a slot; false if its future is done.
    bool enter(Slot& slot) noexcept;

    /// Takes all slots out of the lists. Those that are being told at this moment still arrive.
    void leave() noexcept;

    /// Counts the references to the object that the set is part of.
    virtual void hold() noexcept = 0;
    virtual void release() noexcept = 0;

private:
    /// Called once for each slot that was registered, by the thread that ended the future.
    virtual void told(Slot& slot) noexcept = 0;

    void run_in_place(const WaitEvent& event, const Deadline& deadline, WorkerContext& worker);

    Slot* const slots_;
    const std::size_t size_;
    const Goal goal_;
    // The waiting thread's: how many were tried, and for whose workers.
    std::size_t tried_in_place_ = 0;
    const void* tried_for_ = nullptr;
    std::size_t first_waited_for_ = 0;  // the owner's: none before it is registered any longer
};

/// Waits until a goal is reached, and then acts once. No futures have reached any goal.
class COFUTURES_EXPORT WaitGoal : public WaitSet {
protected:
    WaitGoal(std::span<StateBase* const> futures, Waiter::Role role, Goal goal);

    /// Begins to wait; acts at once if the goal is reached already.
    void join() noexcept;

    /// The first in input order that raised or was cancelled; null if the goal is another.
    [[nodiscard]] const StateBase* first_failure() const noexcept;

private:
    /// Called once, at the end of join() or later, by the thread that ended the deciding future.
    virtual void reached(std::size_t deciding_index) noexcept = 0;

    void told(Slot& slot) noexcept final { count(slot); }
    void count(const Slot& slot) noexcept;
    void meet(std::size_t index) noexcept;
    void pass_gate() noexcept;

    std::atomic<std::size_t> missing_;
    std::atomic<bool> met_{false};
    std::size_t deciding_index_ = 0;  // written by whoever sets met_, before it passes the gate
    // Passed by whoever meets the goal and by the end of join(): the later of the two acts, so that
    // nobody leaves while slots are still being registered.
    std::atomic<int> gate_{2};
};

/// Something that threads and Asio operations wait for, as for a future.
class COFUTURES_EXPORT WaitEvent : public State<void> {
public:
    /// Ends it; once only.
    void set() noexcept;

    /// Says for what a thread that waits for the event waits in truth; null when it is through.
    void stands_for(const WaitSet* set) noexcept { set_ = set; }

    [[nodiscard]] Dependencies dependencies(std::size_t most) override {
        return set_ == nullptr ? Dependencies() : set_->needs(most);
    }

private:
    const WaitSet* set_ = nullptr;  // the waiting thread's
};

/// The event that a goal is reached.
class COFUTURES_EXPORT GoalEvent final : public WaitEvent, public WaitGoal {
public:
    using Owner = std::unique_ptr<GoalEvent, Leave>;

    [[nodiscard]] static Owner
    start(std::span<StateBase* const> futures, Waiter::Role role, Goal goal);

private:
    using WaitGoal::WaitGoal;

    void hold() noexcept override { add_reference(); }
    void release() noexcept override { release_reference(); }
    void reached(std::size_t /*deciding_index*/) noexcept override { set(); }
};

/// Blocks until the futures have reached the goal or the deadline passes.
COFUTURES_EXPORT void
wait_until(std::span<StateBase* const> futures, Goal goal, const Deadline& deadline);

}  // namespace cofutures::detail
