#include "process/block_arena.hpp"

#include <cofutures/codec.hpp>
#include <cofutures/detail/shared_content.hpp>

#include <algorithm>
#include <cstring>
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
        std::memcpy(memory_.view(offset, size).data(), bytes.data(), bytes.size());
    } catch (const std::exception&) {
        release(offset);
        return std::nullopt;
    }
    return offset;
}

void BlockArena::release(std::uint64_t place) noexcept {
    if (!home_.is_here()) {
        return;
    }
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

/// The encoded copy of a shared value: its id, by which a receiver knows that it is still there,
/// and its bytes. It goes when neither a handle nor a message needs it.
class SharedCopy {
public:
    SharedCopy(const std::shared_ptr<BlockArena>& arena, detail::SharedPlace place) noexcept
        : arena_(arena), place_(place) {}
    SharedCopy(const SharedCopy&) = delete;
    SharedCopy& operator=(const SharedCopy&) = delete;
    ~SharedCopy() {
        if (const auto arena = arena_.lock(); arena != nullptr && arena->home_.is_here()) {
            std::ranges::fill(arena->memory_.view(place_.offset, shared_id_bytes), std::byte{});
            arena->release(place_.offset);
        }
    }

    /// Null if there is no room. Throws what encoding throws.
    static std::shared_ptr<SharedCopy>
    make(const std::shared_ptr<BlockArena>& arena, const detail::SharedContent& content) {
        std::vector<std::byte> bytes;
        Encoder(bytes).write_size(content.id());
        content.encode(bytes);
        const auto offset = arena->put(bytes);
        return offset ? std::make_shared<SharedCopy>(
                            arena, detail::SharedPlace{.offset = *offset, .size = bytes.size()}
                        )
                      : nullptr;
    }

    [[nodiscard]] detail::SharedPlace place() const noexcept { return place_; }

private:
    const std::weak_ptr<BlockArena> arena_;  // a value that is shared keeps no pool's memory
    const detail::SharedPlace place_;
};

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

std::optional<detail::SharedPlace> MessageBlocks::share(detail::SharedContent& content) {
    if (arena_ == nullptr) {
        return std::nullopt;
    }
    auto copy = content.copy_of(arena_, [&] { return SharedCopy::make(arena_, content); });
    if (copy == nullptr) {
        return std::nullopt;
    }
    const detail::SharedPlace place = static_cast<SharedCopy*>(copy.get())->place();
    shared_.push_back(std::move(copy));
    return place;
}

}  // namespace cofutures::process
