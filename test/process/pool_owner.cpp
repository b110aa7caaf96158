// A program that owns a pool. `wait`: prints the ids of a worker whose task never ends, and of a
// worker of that one, and waits. `return`: returns from main with a task under way.

#include <cofutures/process_pool_executor.hpp>

#include "support/wait_to_be_killed.hpp"

#include <cstdio>
#include <iostream>
#include <string>

#include <unistd.h>

namespace {

void wait_with_a_pool_of_its_own() {
    cofutures::ProcessPoolExecutor pool(1);
    // The output is the owner's, inherited.
    const pid_t nested = pool.submit(::getpid).result();
    std::printf("%d\n%d\n", static_cast<int>(::getpid()), static_cast<int>(nested));
    std::fflush(stdout);
    pool.submit(cofutures::test::wait_to_be_killed).wait();
}

}  // namespace

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);
    static cofutures::ProcessPoolExecutor pool(2);
    if (argc == 2 && std::string(argv[1]) == "wait") {
        pool.submit(wait_with_a_pool_of_its_own).wait();
    } else {
        pool.submit([] { std::cout << "task done" << std::endl; });
    }
}
