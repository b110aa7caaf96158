#pragma once

#include <cofutures/detail/map_slot.hpp>

#include <atomic>
#include <cstddef>
#include <new>
#include <optional>
#include <utility>

namespace cofutures::detail {

/// What a MapRange reads from. The range's alone; not thread-safe.
template <class Value>
class MapSource {
public:
    MapSource(const MapSource&) = delete;
    MapSource& operator=(const MapSource&) = delete;
    virtual ~MapSource() = default;

    /// Waits for the next result and puts it there, where nothing is; leaves nothing at the end.
    /// Not by return: what is read at once again would have to be fetched from several stores.
    /// Whoever inlines this may keep the result in registers, as nobody else learns where it is.
    void next(std::optional<Value>& result) {
        if (row_.is_value_next()) {
            move_out(row_.take(), result);
            return;
        }
        std::optional<Value> waited_for;
        wait_for_next(waited_for);
        if (waited_for) {
            result.emplace(std::move(*waited_for));
        }
    }

    virtual void close() noexcept = 0;

protected:
    /// Outcomes that lie side by side, if this source has its own so. Those that are there and are
    /// values are taken without a call of a virtual function, which costs more than many an item.
    struct Row {
        // In an order in which no two neighbours are loaded at once: that would wait for the store
        // of either.
        const std::atomic<MapPhase>* next = nullptr;
        std::size_t stride = 0;  // from one value to the next, in bytes
        const std::atomic<MapPhase>* end = nullptr;
        std::byte* value = nullptr;  // where the next one is or will be

        [[nodiscard]] bool is_value_next() const noexcept {
            return next != end && next->load(std::memory_order_acquire) == MapPhase::returned;
        }
        /// It is the caller's, who destroys it, if it is there.
        Value& take() noexcept {
            ++next;
            return *std::launder(reinterpret_cast<Value*>(std::exchange(value, value + stride)));
        }
    };

    MapSource() = default;

    virtual void wait_for_next(std::optional<Value>& result) = 0;

    Row row_;
};

}  // namespace cofutures::detail
