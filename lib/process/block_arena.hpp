#pragma once

#include <cofutures/detail/codec_stream.hpp>

#include "core/fork_count.hpp"
#include "process/range_allocator.hpp"
#include "process/shared_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace cofutures::process {

/// A shared value begins with its id; zero when it is gone.
constexpr std::size_t shared_id_bytes = sizeof(std::uint64_t);

/// The memory in which large runs of a pool's tasks wait for workers: one for all of them, as it is
/// not known yet which worker will get a task.
///
/// Thread-safe. Kept by the pool and by each message's blocks.
class BlockArena : public std::enable_shared_from_this<BlockArena> {
public:
    /// Makes one; null where memory cannot be shared.
    static std::shared_ptr<BlockArena> make() noexcept;

    [[nodiscard]] int descriptor() const noexcept { return memory_.descriptor(); }

    /// Bytes that messages hold now.
    [[nodiscard]] std::uint64_t in_use() const;

    // More waits in messages than in shared memory, if it comes to that.
    static constexpr std::uint64_t limit = std::uint64_t{8} << 30;

private:
    friend class MessageBlocks;
    friend class SharedCopy;

    // Recycled memory is what makes sharing worth while.
    static constexpr std::uint64_t kept_free = std::uint64_t{256} << 20;

    BlockArena() = default;

    std::optional<std::uint64_t> put(std::span<const std::byte> bytes);
    void release(std::uint64_t place) noexcept;

    const detail::HomeProcess home_;  // whose memory it is: a forked child gives none back
    SharedMemory memory_;
    mutable std::mutex mutex_;  // guards ranges_
    RangeAllocator ranges_{limit, kept_free};
};

/// The blocks of one message; they are free again when it goes.
class MessageBlocks final : public detail::BlockStore {
public:
    /// @param arena  Null: nothing can be put.
    explicit MessageBlocks(std::shared_ptr<BlockArena> arena) noexcept : arena_(std::move(arena)) {}
    MessageBlocks(MessageBlocks&& other) noexcept
        : arena_(std::move(other.arena_)),
          places_(std::exchange(other.places_, {})),
          shared_(std::exchange(other.shared_, {})) {}
    MessageBlocks& operator=(MessageBlocks&&) = delete;
    ~MessageBlocks();

    std::optional<std::uint64_t> put(std::span<const std::byte> bytes) override;

    /// The value is encoded by the first message that uses it, for all of the arena's.
    std::optional<detail::SharedPlace> share(detail::SharedContent& content) override;

    [[nodiscard]] bool empty() const noexcept { return places_.empty() && shared_.empty(); }

private:
    std::shared_ptr<BlockArena> arena_;
    std::vector<std::uint64_t> places_;
    std::vector<std::shared_ptr<void>> shared_;  // copies that must stay meanwhile
};

}  // namespace cofutures::process
