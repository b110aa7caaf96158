#pragma once

namespace cofutures::detail {

/// How many processors this process may use: the affinity mask, bounded by the cgroup's quota,
/// rounded up. At least 1.
unsigned usable_cpus();

/// Tells the processor that the thread spins.
void cpu_relax() noexcept;

}  // namespace cofutures::detail
