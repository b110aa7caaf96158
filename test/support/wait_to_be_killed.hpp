#pragma once

#include <unistd.h>

namespace cofutures::test {

/// In a worker or another child process: does nothing until a signal ends it.
[[noreturn]] inline void wait_to_be_killed() {
    for (;;) {
        ::pause();
    }
}

}  // namespace cofutures::test
