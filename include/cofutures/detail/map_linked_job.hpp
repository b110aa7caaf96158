#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_job.hpp>
#include <cofutures/detail/map_slot.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>

namespace cofutures::detail {

/// A map whose items are linked.
///
/// An item is ended by one exchange of its phase; a consumer that is awake costs nothing more. In
/// input order the consumer looks at the phase of the item that it wants; in completion order ended
/// items go to a list, newest first, that it takes as a whole.
class COFUTURES_EXPORT LinkedMapJob : public MapJob {
public:
    // --- the consumer's --------------------------------------------------------------------------

    /// Has items run. They are pending, and linked by `next`.
    ///
    /// @param error  Set if not all could be taken.
    /// @returns How many were taken, the first ones; the others are destroyed.
    std::size_t offer(const MapRun& items, std::exception_ptr& error);

    /// Waits for the next outcome; null if the deadline came first. Something is in flight.
    MapSlot* next(const Deadline& deadline);

protected:
    LinkedMapJob(std::shared_ptr<TaskSink> sink, bool ordered) noexcept
        : MapJob(std::move(sink)), ordered_(ordered) {}
    ~LinkedMapJob() override;

    [[nodiscard]] bool ordered() const noexcept { return ordered_; }

    /// How many outcomes the consumer has got, in input order; changes only while it is awake.
    [[nodiscard]] std::size_t delivered() const noexcept { return delivered_; }

    /// As offer().
    virtual std::size_t schedule(const MapRun& items, std::exception_ptr& error) = 0;

    /// Ends an item whose outcome is stored. The caller does not touch it any more.
    void finish(MapSlot& slot, MapPhase outcome) noexcept {
        const MapPhase before = slot.phase.exchange(outcome, std::memory_order_acq_rel);
        if (before == MapPhase::dropped) {
            destroy_outcome(slot, outcome);
        } else if (!ordered_) {
            push_done(slot);
        } else if (before == MapPhase::awaited) {
            wake();
        }
    }

    /// Destroys the outcome of an item that nobody wants.
    virtual void destroy_outcome(MapSlot& slot, MapPhase outcome) noexcept = 0;

    [[nodiscard]] bool has_outcome() const noexcept final;

private:
    void push_done(MapSlot& slot) noexcept;
    MapSlot* next_in_order(const Deadline& deadline);
    MapSlot* next_done(const Deadline& deadline);
    bool collect_done() noexcept;

    const bool ordered_;

    // The consumer's: in input order all that are in flight, else those that are done.
    MapRun queue_;
    std::size_t delivered_ = 0;  // the consumer's, when items come in input order

    std::atomic<MapSlot*> done_{nullptr};  // newest first; &sleeper_: none, and the consumer sleeps
    MapSlot sleeper_;
};

}  // namespace cofutures::detail
