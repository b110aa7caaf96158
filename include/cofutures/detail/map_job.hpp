#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/map_slot.hpp>
#include <cofutures/detail/state_base.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

namespace cofutures::detail {

/// What a map's consumer and those who run its items share.
///
/// The consumer is one thread at a time. Kept by the range, and by each task of the map while that
/// runs: a task that only waits for its turn keeps nothing.
class COFUTURES_EXPORT MapJob : public std::enable_shared_from_this<MapJob> {
public:
    MapJob(const MapJob&) = delete;
    MapJob& operator=(const MapJob&) = delete;

    /// Cancels what has not begun.
    virtual void stop() noexcept = 0;

    /// What the outcome depends on that the consumer sleeps for; nothing if that is not known. May
    /// be asked on any thread while it sleeps.
    [[nodiscard]] virtual Dependencies needs() { return {}; }

protected:
    explicit MapJob(std::shared_ptr<TaskSink> sink) noexcept : sink_(std::move(sink)) {}
    virtual ~MapJob();

    [[nodiscard]] TaskSink& sink() const noexcept { return *sink_; }

    /// Runs an item on the consumer's thread, which is one of the executor's, while it waits. False
    /// if there is none to run.
    virtual bool help() noexcept { return false; }

    /// Whether the consumer, which sleeps, is about to be woken.
    [[nodiscard]] virtual bool has_outcome() const noexcept = 0;

    class Sleep;
    template <class Ready>
    bool look_until(Ready ready, const Deadline& deadline);
    template <class Woken>
    bool sleep_until(Woken woken, const Deadline& deadline);
    void wake() noexcept;

private:
    const std::shared_ptr<TaskSink> sink_;

    std::mutex sleep_mutex_;  // held to wake, so that no wake-up falls between a look and a sleep
    std::condition_variable woken_;
};

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
