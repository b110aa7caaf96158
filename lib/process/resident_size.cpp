#include "process/resident_size.hpp"

#include <fstream>
#include <string>

#include <unistd.h>

namespace cofutures::process {

std::uint64_t resident_size(std::int64_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    if (!(file >> total >> resident)) {
        return 0;
    }
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace cofutures::process
