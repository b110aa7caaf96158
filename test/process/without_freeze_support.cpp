// A program whose main forgets freeze_support(): its workers run main too, and must not start
// pools.

#include <cofutures/process_pool_executor.hpp>

#include <cstdio>

#include <unistd.h>

int main() {
    cofutures::ProcessPoolExecutor pool(2);
    try {
        pool.submit(::getpid).result();
    } catch (const cofutures::BrokenProcessPool&) {
        std::puts("BrokenProcessPool");
        return 0;
    }
    return 1;
}
