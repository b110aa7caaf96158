#include "core/cpu.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#if defined(__linux__)
#    include <sched.h>
#endif

namespace cofutures::detail {

namespace {

#if defined(__linux__)

unsigned cpus_in_affinity_mask() {
    // The kernel wants room for all processors it could have, which no call tells: grow until it
    // fits.
    for (int room = 1024; room <= (1 << 20); room *= 2) {
        cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(room));
        if (set == nullptr) {
            break;
        }
        const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(room));
        const bool fits = sched_getaffinity(0, size, set) == 0;
        const int count = fits ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (fits) {
            return static_cast<unsigned>(std::max(count, 1));
        }
    }
    return std::max(std::thread::hardware_concurrency(), 1U);
}

// The folder of this process in the cgroup hierarchy; `controller` is empty for version 2.
std::optional<std::string>
cgroup_folder(const std::string& membership, const std::string& controller) {
    std::ifstream file(membership);
    for (std::string line; std::getline(file, line);) {
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) {
            continue;
        }
        const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
        const bool wanted = controller.empty()
                                ? controllers == ",,"
                                : controllers.find(',' + controller + ',') != std::string::npos;
        if (wanted) {
            return line.substr(second + 1);
        }
    }
    return std::nullopt;
}

double quota_of_version_2(const std::string& folder) {
    std::ifstream file(folder + "/cpu.max");
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max" && period > 0) {
        return std::strtod(quota.c_str(), nullptr) / period;
    }
    return HUGE_VAL;
}

double quota_of_version_1(const std::string& folder) {
    std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
    std::ifstream period_file(folder + "/cpu.cfs_period_us");
    double quota = 0;
    double period = 0;
    if (quota_file >> quota && period_file >> period && quota > 0 && period > 0) {
        return quota / period;
    }
    return HUGE_VAL;
}

}  // namespace

double cpus_by_quota(const std::string& membership, const std::string& hierarchy) {
    double least = HUGE_VAL;
    const auto look = [&](const std::string& controller, const std::string& root, auto quota_of) {
        std::optional<std::string> folder = cgroup_folder(membership, controller);
        while (folder && !folder->empty()) {
            least = std::min(least, quota_of(root + *folder));
            folder->erase(folder->find_last_of('/'));
        }
        if (folder) {
            least = std::min(least, quota_of(root));
        }
    };
    look("", hierarchy, quota_of_version_2);
    look("cpu", hierarchy + "/cpu", quota_of_version_1);
    return least;
}

#else

unsigned cpus_in_affinity_mask() {
    return std::max(std::thread::hardware_concurrency(), 1U);
}

}  // namespace

double cpus_by_quota(const std::string& /*membership*/, const std::string& /*hierarchy*/) {
    return HUGE_VAL;
}

#endif

unsigned usable_cpus() {
    const double quota =
        std::max(1.0, std::ceil(cpus_by_quota("/proc/self/cgroup", "/sys/fs/cgroup")));
    const unsigned mask = cpus_in_affinity_mask();
    return quota < mask ? static_cast<unsigned>(quota) : mask;
}

void cpu_relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#else
    std::this_thread::yield();
#endif
}

}  // namespace cofutures::detail
