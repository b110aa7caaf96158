#pragma once

#include <cofutures/detail/codec_stream.hpp>

#include "process/range_allocator.hpp"
#include "process/shared_memory.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

/// @file
/// Large runs on their way from one worker to its pool. The pool counts the answers that it has
/// read in the memory itself, so that a worker knows what is free again without being told.

namespace cofutures::process {

/// The worker's side: takes the large runs of its answers.
///
/// @thread_safety Distinct objects: safe. Shared objects: unsafe.
class ResultBlocks final : public detail::BlockStore {
public:
    static constexpr std::uint64_t limit = std::uint64_t{4} << 30;

    /// @param memory  Made by a ResultMemory; must outlive this object.
    /// @throws SerializationError  if it was not.
    explicit ResultBlocks(SharedMemory& memory);

    std::optional<std::uint64_t> put(std::span<const std::byte> bytes) override;

    /// Says that an answer is complete, which refers to what was put since the last one.
    void answered();

    /// Takes back what was put since the last answer.
    void drop() noexcept;

private:
    struct Answer {
        std::uint64_t number;
        std::vector<std::uint64_t> places;
    };

    static constexpr std::uint64_t kept_free = std::uint64_t{128} << 20;

    void take_back_read();
    void release(std::uint64_t place) noexcept;

    SharedMemory& memory_;
    std::atomic_ref<std::uint64_t> read_;  // answers, by the pool
    RangeAllocator ranges_{limit, kept_free};
    std::uint64_t answers_ = 0;
    std::vector<std::uint64_t> current_;
    std::deque<Answer> unread_;
};

/// The pool's side: reads them.
///
/// @thread_safety Distinct objects: safe. Shared objects: unsafe.
class ResultMemory {
public:
    /// @throws boost::system::system_error  if memory cannot be shared.
    ResultMemory();

    /// Makes one; null where memory cannot be shared.
    static std::unique_ptr<ResultMemory> make() noexcept;

    [[nodiscard]] SharedMemory& memory() noexcept { return memory_; }

    /// Says that one more answer has been read, with all its blocks.
    void answer_was_read() noexcept;

private:
    SharedMemory memory_;
    std::uint64_t* counter_ = nullptr;
    std::uint64_t answers_ = 0;
};

}  // namespace cofutures::process
