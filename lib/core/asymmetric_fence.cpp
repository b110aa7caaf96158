#include <cofutures/detail/asymmetric_fence.hpp>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace cofutures::detail {

namespace {

// Glibc has no function for it.
bool membarrier(int command) noexcept {
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

}  // namespace

// For this process, as one that was forked may not have said so.
AsymmetricFence::AsymmetricFence() noexcept
    : remote_(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)) {}

void AsymmetricFence::heavy() const noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (remote_) {
        static_cast<void>(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
    }
}

}  // namespace cofutures::detail
