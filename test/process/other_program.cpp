#include "process/tasks.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <unistd.h>

// A program that is not the pool's and holds the same library of tasks. Asked to, it greets as one
// that was built with a later version of cofutures would.
int main(int argc, char** argv) {
    if (std::getenv("COFUTURES_TEST_LATER_VERSION") != nullptr) {
        const std::string pipes = argv[argc - 1];
        const std::array<unsigned char, 44> hello{20, 0, 0, 0, 0, 0, 0, 0,  // length of the payload
                                                  0,  0, 0, 0, 0, 0, 0, 0,  // no task
                                                  1,  0, 0, 0, 0, 0, 0, 0,  // kind
                                                  99, 0, 0, 0};             // version
        const int out = std::stoi(pipes.substr(pipes.find(',') + 1));
        if (::write(out, hello.data(), hello.size()) == static_cast<ssize_t>(hello.size())) {
            ::pause();
        }
        return EXIT_FAILURE;
    }
    cofutures::freeze_support(argc, argv);
    return cofutures::test::library::shared_task(-1);
}
