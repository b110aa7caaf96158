#include "process/spawn_request.hpp"

#include <algorithm>
#include <stdexcept>

namespace cofutures::process {

namespace {

// Processors beyond this number are taken for a mistake.
constexpr int most_cpus = 1 << 16;

void require_no_null(const std::string& word) {
    if (word.find('\0') != std::string::npos) {
        throw std::invalid_argument("a command word or variable holds a null character");
    }
}

void require_sensible(const WorkerLimits& limits) {
    const auto require = [](bool sensible, const char* problem) {
        if (!sensible) {
            throw std::invalid_argument(problem);
        }
    };
    require(limits.address_space != 0U, "address_space must be greater than 0");
    require(
        !limits.cpu_time || limits.cpu_time->count() > 0, "cpu_time must be at least one second"
    );
    require(limits.open_files != 0U, "open_files must be greater than 0");
    for (const int cpu : limits.cpus) {
        require(cpu >= 0 && cpu < most_cpus, "cpus must hold numbers of processors");
    }
}

}  // namespace

void require_well_formed(const SpawnRequest& request) {
    require_no_null(request.program);
    require_no_null(request.working_directory);
    std::for_each(request.launcher.begin(), request.launcher.end(), require_no_null);
    std::for_each(request.arguments.begin(), request.arguments.end(), require_no_null);
    for (const auto& [name, value] : request.environment) {
        if (name.empty() || name.find('=') != std::string::npos) {
            throw std::invalid_argument("\"" + name + "\" is no name of an environment variable");
        }
        require_no_null(name);
        require_no_null(value);
    }
    require_sensible(request.limits);
}

}  // namespace cofutures::process
