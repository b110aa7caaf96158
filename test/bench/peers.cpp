#include "bench/peers.hpp"

#include <array>
#include <cstdio>
#include <stdexcept>

namespace bench {

namespace {

#ifdef COFUTURES_BENCH_PYTHON
// What a command prints; nothing if it fails.
std::string output_of(const std::string& command) {
    std::string output;
    std::FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) {
        return {};
    }
    std::array<char, 256> part{};
    while (std::fgets(part.data(), part.size(), pipe) != nullptr) {
        output += part.data();
    }
    return pclose(pipe) == 0 ? output : std::string();
}
#endif

}  // namespace

void append_python(
    [[maybe_unused]] std::vector<Contender>& contenders,
    [[maybe_unused]] const std::string& name,
    [[maybe_unused]] const std::string& figure,
    [[maybe_unused]] std::size_t operations,
    [[maybe_unused]] int workers
) {
#ifdef COFUTURES_BENCH_PYTHON
    const std::string script = COFUTURES_BENCH_PYTHON " " COFUTURES_BENCH_PYTHON_SCRIPT " ";
    if (output_of(script + "--has " + figure).empty()) {
        return;
    }
    const std::string command =
        script + figure + " " + std::to_string(operations) + " " + std::to_string(workers);
    contenders.push_back({name, [command] {
                              const std::string output = output_of(command);
                              if (output.empty()) {
                                  throw std::runtime_error("it failed: " + command);
                              }
                              return std::stod(output);
                          }});
#endif
}

}  // namespace bench
