#include "process/tasks.hpp"

#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

namespace {

// Says this to the pool in place of what a worker says first.
int say(const char* pipes, std::span<const std::uint8_t> words) {
    const std::string_view text = pipes;
    const int out = std::stoi(std::string(text.substr(text.find(',') + 1)));
    if (::write(out, words.data(), words.size()) == static_cast<ssize_t>(words.size())) {
        ::pause();
    }
    return EXIT_FAILURE;
}

}  // namespace

// A program that is not the pool's and holds the same library of tasks. Asked to, it greets as one
// that was built with a later version of cofutures would, or does not greet before it is ready.
int main(int argc, char** argv) {
    if (std::getenv("COFUTURES_TEST_LATER_VERSION") != nullptr) {
        const std::vector<std::uint8_t> hello{20, 0, 0, 0, 0, 0, 0, 0,  // length of the payload
                                              0,  0, 0, 0, 0, 0, 0, 0,  // no task
                                              1,  0, 0, 0, 0, 0, 0, 0,  // kind
                                              99, 0, 0, 0,              // version
                                              0,  0, 0, 0, 0, 0, 0, 0,  // no build
                                              0,  0, 0, 0, 0, 0, 0, 0};
        return say(argv[argc - 1], hello);
    }
    if (std::getenv("COFUTURES_TEST_NO_GREETING") != nullptr) {
        std::vector<std::uint8_t> ready(24);
        ready[16] = 8;  // kind
        return say(argv[argc - 1], ready);
    }
    cofutures::freeze_support(argc, argv);
    return cofutures::test::library::shared_task(-1);
}
