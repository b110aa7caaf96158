#include <cofutures/detail/asymmetric_fence.hpp>

#include "core/fork_count.hpp"

#include <atomic>
#include <limits>

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
    struct Answer {
        unsigned forks;
        bool granted;
    };
    static constinit std::atomic<Answer> last{Answer{std::numeric_limits<unsigned>::max(), false}};
    Answer answer = last.load(std::memory_order_relaxed);
    if (const unsigned forks = forks_so_far.load(std::memory_order_relaxed);
        answer.forks != forks) {
        answer = {forks, membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)};
        last.store(answer, std::memory_order_relaxed);
    }
    return answer.granted;
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
