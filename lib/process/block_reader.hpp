#pragma once

#include <cofutures/error.hpp>
#include <cofutures/detail/codec_stream.hpp>

#include "process/shared_memory.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace cofutures::process {

/// Finds the blocks that one message names, in memory that another process writes.
///
/// The blocks of a message are different ones, so together they are no larger than the memory: a
/// short message that names one block again and again is refused before it fills this process.
class BlockReader final : public detail::BlockSource {
public:
    /// @param memory  Null: there are no blocks.
    explicit BlockReader(SharedMemory* memory) noexcept : memory_(memory) {}

    std::span<const std::byte> get(std::uint64_t place, std::size_t size) override {
        if (memory_ == nullptr) {
            throw SerializationError("a message refers to shared memory that is not there");
        }
        const auto block = memory_->view(place, size);
        read_ += size;
        if (read_ > memory_->size()) {
            throw SerializationError("a message refers to more shared memory than there is");
        }
        return block;
    }

private:
    SharedMemory* const memory_;
    std::uint64_t read_ = 0;
};

}  // namespace cofutures::process
