#pragma once

#include "process/child_process.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace cofutures::process {

/// Which of the tasks that were sent to a worker it has begun: memory that a pool and one worker
/// share.
///
/// A task is known by its number: the worker's first one is 1. The pool offers it before it sends
/// it. Then either the worker begins it or the pool takes it back, whoever comes first; so what was
/// sent ahead can be had back at once, however long the worker is busy, or stopped.
///
/// At most `size` numbers may be between the oldest that is neither done nor taken back and the
/// newest.
///
/// The pool believes nothing that it reads here: a worker that writes nonsense into it may have its
/// own tasks run twice, or be blamed for one that it did not begin.
///
/// @thread_safety  Shared objects: safe, over both processes, but for moving and destroying.
class ClaimTable {
public:
    static constexpr std::size_t size = 256;

    /// None: what was sent is begun.
    ClaimTable() noexcept = default;

    /// Makes one, and a descriptor of it for the worker; none, and no descriptor, where the system
    /// has no memory to share.
    [[nodiscard]] static std::pair<ClaimTable, FileDescriptor> make() noexcept;

    /// In the worker: takes over the descriptor. None if there is none.
    [[nodiscard]] static ClaimTable open(FileDescriptor descriptor) noexcept;

    ClaimTable(ClaimTable&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    ClaimTable& operator=(ClaimTable&& other) noexcept {
        std::swap(slots_, other.slots_);
        return *this;
    }
    ~ClaimTable();

    [[nodiscard]] explicit operator bool() const noexcept { return slots_ != nullptr; }

    void offer(std::uint64_t number) noexcept {
        if (slots_ != nullptr) {
            slot(number).store(2 * number, std::memory_order_release);
        }
    }

    /// By the worker. False if the task was taken back.
    [[nodiscard]] bool begin(std::uint64_t number) noexcept {
        return slots_ == nullptr || change(number, 2 * number + 1);
    }

    /// By the pool. False if the worker has begun it.
    [[nodiscard]] bool take_back(std::uint64_t number) noexcept {
        return slots_ != nullptr && change(number, 0);
    }

    /// By the pool: sees to it that the worker does not begin the task, which may have been taken
    /// back before. False if it has begun it.
    [[nodiscard]] bool prevent(std::uint64_t number) noexcept {
        return take_back(number) || !begun(number);
    }

    [[nodiscard]] bool begun(std::uint64_t number) const noexcept {
        return slots_ == nullptr || slot(number).load(std::memory_order_acquire) == 2 * number + 1;
    }

private:
    using Slot = std::atomic<std::uint64_t>;
    static_assert(Slot::is_always_lock_free, "a lock in the slot would be of one process only");

    static constexpr std::size_t bytes = size * sizeof(Slot);

    explicit ClaimTable(Slot* slots) noexcept : slots_(slots) {}
    [[nodiscard]] static ClaimTable map(const FileDescriptor& descriptor) noexcept;

    [[nodiscard]] Slot& slot(std::uint64_t number) const noexcept { return slots_[number % size]; }
    bool change(std::uint64_t number, std::uint64_t to) noexcept {
        std::uint64_t offered = 2 * number;
        return slot(number).compare_exchange_strong(offered, to, std::memory_order_acq_rel);
    }

    Slot* slots_ = nullptr;  // zeros at first
};

}  // namespace cofutures::process
