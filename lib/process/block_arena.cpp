#include "process/block_arena.hpp"

#include <algorithm>
#include <exception>

namespace cofutures::process {

std::shared_ptr<BlockArena> BlockArena::make() noexcept {
    try {
        return std::shared_ptr<BlockArena>(new BlockArena());
    } catch (const std::exception&) {
        return nullptr;  // all data goes through the pipes then
    }
}

std::uint64_t BlockArena::in_use() const {
    const std::lock_guard lock(mutex_);
    return ranges_.in_use();
}

std::optional<std::uint64_t> BlockArena::put(std::span<const std::byte> bytes) {
    std::optional<RangeAllocator::Allocation> given;
    {
        const std::lock_guard lock(mutex_);
        given = ranges_.allocate(bytes.size());
    }
    if (!given) {
        return std::nullopt;
    }
    // The range is this thread's: what takes long is done without the mutex.
    const auto [offset, size] = given->range;
    if (given->is_fresh && !memory_.provide(offset, size)) {
        const std::lock_guard lock(mutex_);
        ranges_.forget(offset);
        return std::nullopt;
    }
    try {
        std::ranges::copy(bytes, memory_.view(offset, size).begin());
    } catch (const std::exception&) {
        release(offset);
        return std::nullopt;
    }
    return offset;
}

void BlockArena::release(std::uint64_t place) noexcept {
    std::optional<RangeAllocator::Range> surplus;
    {
        const std::lock_guard lock(mutex_);
        surplus = ranges_.release(place);
        if (surplus) {
            // Under the mutex: nobody may have the range again before its memory is gone.
            memory_.give_back(surplus->offset, surplus->size);
        }
    }
}

MessageBlocks::~MessageBlocks() {
    for (const std::uint64_t place : places_) {
        arena_->release(place);
    }
}

std::optional<std::uint64_t> MessageBlocks::put(std::span<const std::byte> bytes) {
    if (arena_ == nullptr) {
        return std::nullopt;
    }
    places_.reserve(places_.size() + 1);  // so that no block is lost
    const auto place = arena_->put(bytes);
    if (place) {
        places_.push_back(*place);
    }
    return place;
}

}  // namespace cofutures::process
