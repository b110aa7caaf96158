#pragma once

#include <cofutures/detail/isolated_call.hpp>
#include <cofutures/detail/make_error.hpp>
#include <cofutures/detail/map_drainers.hpp>
#include <cofutures/detail/map_errors.hpp>
#include <cofutures/detail/map_memory.hpp>
#include <cofutures/detail/map_numbered_job.hpp>
#include <cofutures/detail/map_slot.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <tuple>
#include <utility>

namespace cofutures::detail {

/// A map whose items run in this process, of a known number, all at hand when the results are read,
/// in input order: items lie side by side, so that many small ones cost little memory, and so time.
template <class Value, class... Args>
class ArrayMapJob : public NumberedMapJob, public MapDrainers {
public:
    struct ErrorElsewhere {};
    using Cell = MapCell<Value, std::tuple<Args...>, ErrorElsewhere>;

    /// @throws std::bad_alloc
    ArrayMapJob(std::shared_ptr<TaskSink> sink, std::size_t size, const Config& config)
        : NumberedMapJob(std::move(sink), size), MapDrainers(this->sink(), config), cells_(size) {}

    // --- the consumer's --------------------------------------------------------------------------

    /// Where the arguments of an item are to be made before it is added.
    [[nodiscard]] Cell& make_cell(std::size_t item) { return *std::construct_at(&cell(item)); }

    using MapDrainers::add;

    /// What an item that has ended came to, and where that is.
    [[nodiscard]] MapPhase outcome(std::size_t item) const noexcept {
        return phase(item).load(std::memory_order_relaxed);
    }
    /// Where the first one's value is or will be; the others follow, a cell apart.
    [[nodiscard]] std::byte* values() noexcept {
        return reinterpret_cast<std::byte*>(std::addressof(cells_.get()->value));
    }

    /// Nobody wants the outcomes of these items, the last ones, any more.
    void drop(std::size_t first, std::size_t past) noexcept {
        if (first == past) {
            return;
        }
        want_none_from(first);
        for (std::size_t item = first; item != past; ++item) {
            destroy_outcome(item);
        }
    }

    /// What an item that has raised threw, or why it was not run.
    [[nodiscard]] std::exception_ptr take_error(std::size_t item) noexcept {
        if (auto error = errors_.take(item)) {
            return error;
        }
        return halted() && halt_error() ? halt_error() : make_error<std::bad_alloc>();
    }

    [[nodiscard]] Dependencies needs() final { return drainers_of(wanted()); }

protected:
    /// Runs items by this call.
    template <class Call>
    void run_with(Call& call, const MapItems& items) noexcept {
        const std::size_t past = items.first + items.count;
        for (std::size_t item = items.first; item != past;) {
            if (halted()) {
                discard(item++);
            } else if (run_alone(call, item++) && items.instant != 1) {
                while (item != past && !halted()) {
                    item = run_together(call, item, std::min(past, item + items.instant));
                }
            }
        }
    }

    bool help() noexcept final { return run_one(); }

    std::shared_ptr<MapDrainers> shared() final {
        return std::static_pointer_cast<ArrayMapJob>(shared_from_this());
    }

    void discard(const MapItems& items) noexcept final {
        for (std::size_t item = items.first; item != items.first + items.count; ++item) {
            discard(item);
        }
    }
    void refuse(const MapItems& items) noexcept final {
        for (std::size_t item = items.first; item != items.first + items.count; ++item) {
            cell(item).destroy_arguments();
        }
    }

private:
    // Runs an item and ends it; says whether nobody could wait for one of its kind before the next
    // is run.
    template <class Call>
    bool run_alone(Call& call, std::size_t item) noexcept {
        MapPhase outcome{};
        const bool isolated = call_and_tell_if_isolated([&]() noexcept {
            try {
                call(cell(item));
                outcome = MapPhase::returned;
            } catch (...) {
                errors_.store(item, std::current_exception());
                outcome = MapPhase::raised;
            }
        });
        finish(item, item + 1, outcome);
        return isolated;
    }
    // Runs items of that kind, none of which throws, and ends them together; says how far it came.
    template <class Call>
    std::size_t run_together(Call& call, std::size_t first, std::size_t past) noexcept {
        Cell* const cells = cells_.get();
        for (std::size_t item = first; item != past; ++item) {
            call(cells[item]);
        }
        finish(first, past, MapPhase::returned);
        return past;
    }
    void finish(std::size_t first, std::size_t past, MapPhase outcome) noexcept {
        for (std::size_t item = end(first, past, outcome); item != past; ++item) {
            destroy_outcome(item);
        }
    }
    void discard(std::size_t item) noexcept {
        cell(item).destroy_arguments();
        finish(item, item + 1, halt_error() ? MapPhase::raised : MapPhase::cancelled);
    }
    void destroy_outcome(std::size_t item) noexcept {
        const MapPhase outcome = disown(item);
        cell(item).destroy_outcome(outcome);
        if (outcome == MapPhase::raised) {
            static_cast<void>(errors_.take(item));
        }
    }

    [[nodiscard]] Cell& cell(std::size_t item) noexcept { return cells_.get()[item]; }

    const MapMemory<Cell> cells_;  // what they hold is destroyed by then
    MapErrors errors_;
};

}  // namespace cofutures::detail
