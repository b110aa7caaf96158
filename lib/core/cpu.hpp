#pragma once

#include <string>

namespace cofutures::detail {

/// How many processors this process may use: the affinity mask, bounded by the cgroup's quota,
/// rounded up. At least 1.
unsigned usable_cpus();

/// How many processors the quotas of a process's cgroup allow, the tightest on the way up to the
/// root: infinitely many without one.
///
/// @param membership  The file that names the groups of the process, as /proc/self/cgroup.
/// @param hierarchy   Where version 2 is mounted, and version 1's folder "cpu".
double cpus_by_quota(const std::string& membership, const std::string& hierarchy);

/// Tells the processor that the thread spins.
void cpu_relax() noexcept;

}  // namespace cofutures::detail
