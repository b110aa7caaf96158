#pragma once

#include <cofutures/detail/map_memory.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace cofutures::detail {

/// Where an item of a map is in its life.
enum class MapPhase : std::uint8_t {
    pending,    ///< to be run, or running
    awaited,    ///< the same, linked, and the consumer sleeps until it is done
    dropped,    ///< the same, linked, and nobody wants the outcome: who ends it destroys that
    returned,   ///< holds a value
    raised,     ///< holds an exception
    cancelled,  ///< holds nothing, and will not be run
    free,       ///< holds nothing, and is in use by nobody
};

[[nodiscard]] constexpr bool has_ended(MapPhase phase) noexcept {
    return phase > MapPhase::dropped;
}

/// One item of a map, without its types.
struct MapSlot {
    std::atomic<MapPhase> phase{MapPhase::free};

    /// The next item of the list that it is in. While it is pending, whoever claimed it reads this
    /// before ending it: from then on it is the consumer's.
    MapSlot* next = nullptr;
};

/// Items in the order of their links.
struct MapRun {
    MapSlot* first = nullptr;
    MapSlot* last = nullptr;
    std::size_t count = 0;

    void push_back(MapSlot& slot) noexcept {
        (first == nullptr ? first : last->next) = &slot;
        last = &slot;
        ++count;
    }

    /// Takes the first item out; there is one.
    MapSlot& pop_front() noexcept {
        MapSlot& slot = *first;
        if (--count == 0) {
            first = last = nullptr;
        } else {
            first = slot.next;
        }
        return slot;
    }

    /// Takes the first items out.
    MapRun pop_front(std::size_t wanted) noexcept {
        if (wanted >= count) {
            return std::exchange(*this, {});
        }
        MapRun taken;
        taken.first = first;
        for (; taken.count < wanted; ++taken.count) {
            taken.last = &pop_front();
        }
        return taken;
    }

    void append(const MapRun& items) noexcept {
        if (count == 0) {
            *this = items;
        } else if (items.count != 0) {
            // In two lists at once the same link may be there already, and be read by others.
            if (last->next != items.first) {
                last->next = items.first;
            }
            last = items.last;
            count += items.count;
        }
    }

    /// Calls `use` with each item; it may end it. The last one's link is not read: others may write
    /// it.
    template <class Use>
    void for_each(Use use) const {
        MapSlot* slot = first;
        for (std::size_t left = count; left != 0; --left) {
            MapSlot* const next = left == 1 ? nullptr : slot->next;
            use(*slot);
            slot = next;
        }
    }
};

/// Destroys an object when the scope is left.
template <class T>
struct Destroyer {
    T& object;
    ~Destroyer() { std::destroy_at(std::addressof(object)); }
};

/// Moves a value to where nothing is, and destroys what is left of it.
template <class Value>
void move_out(Value& value, std::optional<Value>& place) {
    const Destroyer<Value> destroyer{value};
    place.emplace(std::move(value));
}

/// What an item holds: first the arguments, then the outcome, in the same place.
///
/// @tparam Error  std::exception_ptr, or something small where errors are kept elsewhere.
template <class Value, class Arguments, class Error = std::exception_ptr>
struct MapCell {
    MapCell() noexcept {}  // NOLINT(modernize-use-equals-default): of a union
    MapCell(const MapCell&) = delete;
    MapCell& operator=(const MapCell&) = delete;
    ~MapCell() {}  // NOLINT(modernize-use-equals-default): of a union

    Arguments take_arguments() {
        const Destroyer<Arguments> destroyer{arguments};
        return std::move(arguments);
    }
    void destroy_arguments() noexcept { std::destroy_at(std::addressof(arguments)); }

    /// Stores what `call` returns; the arguments are gone by now.
    template <class Call>
    void store_result_of(Call&& call) {
        ::new (static_cast<void*>(std::addressof(value))) Value(std::forward<Call>(call)());
    }
    MapPhase store_error(Error raised) noexcept {
        std::construct_at(std::addressof(error), std::move(raised));
        return MapPhase::raised;
    }

    Error take_error() noexcept {
        const Destroyer<Error> destroyer{error};
        return std::move(error);
    }
    void destroy_outcome(MapPhase outcome) noexcept {
        if (outcome == MapPhase::returned) {
            std::destroy_at(std::addressof(value));
        } else if (outcome == MapPhase::raised) {
            std::destroy_at(std::addressof(error));
        }
    }

    union {
        Arguments arguments;
        Value value;
        Error error;
    };
};

/// An item that stands in lists.
template <class Value, class Arguments>
struct TypedMapSlot : MapSlot, MapCell<Value, Arguments> {};

/// Slots that stay where they are, and are used again. The consumer's alone.
template <class Slot>
class MapStorage {
public:
    MapStorage() = default;
    MapStorage(const MapStorage&) = delete;
    MapStorage& operator=(const MapStorage&) = delete;
    ~MapStorage() {
        for (const Block& block : blocks_) {
            std::destroy_n(block.slots.get(), block.used);
        }
    }

    /// Makes room for so many in one piece.
    void reserve(std::size_t count) {
        if (count != 0) {
            blocks_.push_back({MapMemory<Slot>(count)});
        }
    }

    /// A slot in phase `free`.
    Slot& acquire() {
        if (free_ != nullptr) {
            return static_cast<Slot&>(*std::exchange(free_, free_->next));
        }
        if (blocks_.empty()) {
            reserve(first_size);
        } else if (const std::size_t size = blocks_.back().slots.size();
                   size == blocks_.back().used) {
            reserve(std::min(2 * size, largest_size));
        }
        Block& block = blocks_.back();
        return *std::construct_at(block.slots.get() + block.used++);
    }

    void release(Slot& slot) noexcept {
        slot.next = free_;
        slot.phase.store(MapPhase::free, std::memory_order_relaxed);
        free_ = &slot;
    }

    template <class Use>
    void for_each(Use use) noexcept {
        for (const Block& block : blocks_) {
            for (std::size_t i = 0; i < block.used; ++i) {
                use(block.slots.get()[i]);
            }
        }
    }

private:
    static constexpr std::size_t first_size = 16;
    static constexpr std::size_t largest_size = 4096;

    // Memory for some slots, of which the first `used` are there.
    struct Block {
        MapMemory<Slot> slots;
        std::size_t used = 0;
    };

    std::vector<Block> blocks_;
    MapSlot* free_ = nullptr;
};

}  // namespace cofutures::detail
