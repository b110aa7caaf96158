#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/cache_line.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/map_grain.hpp>
#include <cofutures/detail/map_sink.hpp>
#include <cofutures/detail/map_slot.hpp>
#include <cofutures/detail/state_base.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace cofutures::detail {

/// Items of a map, by their numbers, and where they are linked, the list of them.
struct MapItems {
    std::size_t first = 0;
    std::size_t count = 0;
    MapRun linked;
    /// So many take so little together that it does not matter which of them is done first.
    std::size_t instant = 1;
};

/// Who runs the items of a map in this process, which are numbered in the order of being added.
///
/// There is no task for each item. *Drainers*, ordinary tasks of the executor, claim items in
/// grains until none is left. Finding none and ceasing to be a drainer is one critical section of
/// `mutex_`, and so is adding items and finding out whether a drainer is needed.
///
/// As long as there are unclaimed items one more drainer than there are threads stands in the
/// executor's queue, unless that takes no more: it is there to be cancelled, or failed, with what
/// has not begun.
class COFUTURES_EXPORT MapDrainers {
public:
    struct Config {
        /// Submit a drainer with each addition, so that an executor that is shut down refuses it.
        bool lazy;
        /// Items to claim at a time; 0 to find out.
        std::size_t grain;
        /// Each outcome is to be there as soon as its call has ended.
        bool prompt;
    };

    MapDrainers(const MapDrainers&) = delete;
    MapDrainers& operator=(const MapDrainers&) = delete;

protected:
    /// @param sink  Lives longer.
    MapDrainers(TaskSink& sink, const Config& config);
    virtual ~MapDrainers();

    /// Has so many more items run, as far as the executor takes them; the others are refused.
    ///
    /// @param linked  The items, if they are linked, else nothing.
    /// @param error   Set if not all could be taken.
    /// @returns How many were taken, the first ones.
    std::size_t add(std::size_t count, const MapRun& linked, std::exception_ptr& error);

    /// Runs an item in the calling thread; false if there is none.
    bool run_one() noexcept;

    /// Ends all that has not begun: cancelled, or with an error.
    void halt(std::exception_ptr error) noexcept;
    /// Whether it was; who runs items asks before each.
    [[nodiscard]] bool halted() const noexcept { return halted_.load(std::memory_order_acquire); }
    /// With what error; null if items are cancelled. For who knows that it was halted.
    [[nodiscard]] const std::exception_ptr& halt_error() const noexcept { return halt_error_; }

    /// Who has claimed an item; any drainer if that is asked for, or if nobody has claimed it.
    [[nodiscard]] Dependencies drainers_of(std::optional<std::size_t> item);

    // --- what a map is made of -------------------------------------------------------------------

    /// Keeps the map.
    virtual std::shared_ptr<MapDrainers> shared() = 0;
    /// Runs items and ends them.
    virtual void run(const MapItems& items) noexcept = 0;
    /// Ends items that will not be run: cancelled, or with the error that it was halted with.
    virtual void discard(const MapItems& items) noexcept = 0;
    /// Destroys items that were not taken.
    virtual void refuse(const MapItems& items) noexcept = 0;

private:
    class Drainer;

    void start_drainer();
    bool try_start_drainer() noexcept;
    void drain(Drainer& self) noexcept;
    Clock::time_point
    run_in_pieces(const MapItems& items, MapGrain& grain, Clock::time_point begun) noexcept;
    void forget(const Drainer& drainer) noexcept;
    void drainer_was_lost(const Drainer& drainer, std::exception_ptr error) noexcept;

    [[nodiscard]] std::size_t unclaimed() const noexcept { return added_ - claimed_; }
    std::size_t append(std::size_t count, const MapRun& linked);
    MapItems take(std::size_t count) noexcept;
    MapItems claim(Drainer& self, std::size_t wanted) noexcept;
    bool begin_draining() noexcept;

    TaskSink& sink_;
    const std::size_t workers_;
    const Config config_;

    std::atomic<bool> halted_{false};  // what has not begun will not; looked at for each item

    // Guards the block that follows, and the links of unclaimed items.
    alignas(cache_line) std::mutex mutex_;
    std::size_t added_ = 0;
    std::size_t claimed_ = 0;
    MapRun linked_;             // the unclaimed ones, if items are linked
    std::size_t drainers_ = 0;  // submitted or running; an unclaimed item implies one
    std::size_t queued_ = 0;    // those that have not begun
    std::vector<boost::intrusive_ptr<Drainer>> started_;  // those of the drainers that exist
    std::exception_ptr halt_error_;  // written before halted_; null: items are cancelled
};

}  // namespace cofutures::detail
