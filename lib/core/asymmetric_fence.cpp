#include <cofutures/detail/asymmetric_fence.hpp>

#include "core/fork_count.hpp"

#include <atomic>
#include <cstdint>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace cofutures::detail {

namespace {

// Glibc has no function for it.
bool membarrier(int command) noexcept {
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

// A process has to say once that it will ask for it; one that was forked has not.
bool is_granted() noexcept {
    // The number of forks, and whether it was granted after so many; neither known at first.
    static constinit std::atomic<std::uint64_t> last{~std::uint64_t{0}};
    const std::uint64_t forks = forks_so_far.load(std::memory_order_relaxed);
    std::uint64_t answer = last.load(std::memory_order_relaxed);
    if (answer / 2 != forks) {
        const bool granted = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
        answer = 2 * forks + (granted ? 1 : 0);
        last.store(answer, std::memory_order_relaxed);
    }
    return answer % 2 == 1;
}

}  // namespace

AsymmetricFence::AsymmetricFence() noexcept : remote_((watch_forks(), is_granted())) {}

void AsymmetricFence::heavy() const noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // Slower, but without memory of the system's own, for which it might have none.
    if (remote_ && !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) {
        static_cast<void>(membarrier(MEMBARRIER_CMD_GLOBAL));
    }
}

}  // namespace cofutures::detail
