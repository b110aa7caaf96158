#pragma once

#include <cofutures/detail/codec_stream.hpp>

#include "process/shared_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace cofutures::process {

/// The shared values that a worker has decoded.
///
/// @thread_safety Distinct objects: safe. Shared objects: unsafe.
class SharedValues {
public:
    /// The value of this id and type; null if it is not here.
    [[nodiscard]] std::shared_ptr<void> find(std::uint64_t id, const void* type) const;

    /// Keeps one, and lets go of those that the pool has let go of.
    void keep(
        SharedMemory& memory,
        std::uint64_t id,
        std::uint64_t offset,
        const void* type,
        std::shared_ptr<void> value
    );

    [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }

private:
    struct Value {
        std::uint64_t id;
        std::uint64_t offset;
        const void* type;
        std::shared_ptr<void> content;
    };

    std::vector<Value> values_;  // few
};

/// Finds the blocks that one message names, in memory that another process writes.
///
/// The blocks of a message are different ones, so together they are no larger than the memory: a
/// short message that names one block again and again is refused before it fills this process.
class BlockReader final : public detail::BlockSource {
public:
    /// @param memory  Null: there are no blocks.
    explicit BlockReader(SharedMemory* memory) noexcept : memory_(memory) {}
    /// For a worker, which trusts its pool.
    BlockReader(SharedMemory* memory, SharedValues* shared) noexcept
        : memory_(memory), shared_(shared), trust_(Trust::full) {}

    std::span<const std::byte> get(std::uint64_t place, std::size_t size) override;

    std::shared_ptr<void> find_shared(std::uint64_t id, const void* type) override;
    std::span<const std::byte> get_shared(std::uint64_t id, detail::SharedPlace place) override;
    void keep_shared(
        std::uint64_t id, detail::SharedPlace place, const void* type, std::shared_ptr<void> content
    ) override;

private:
    enum class Trust { none, full };

    SharedMemory* const memory_;
    SharedValues* const shared_ = nullptr;
    const Trust trust_ = Trust::none;
    std::uint64_t read_ = 0;
};

}  // namespace cofutures::process
