#include <cofutures/thread_pool_executor.hpp>

#include "support/gate.hpp"

#include <cstdio>
#include <cstdlib>

// A program that ends while a pool, a static object, has tasks left.

int main() {
    static cofutures::test::Gate ending;
    static cofutures::ThreadPoolExecutor pool(1);
    if (std::atexit([] { ending.open(); }) != 0) {
        return 1;
    }
    pool.submit([] { ending.wait(); });
    pool.submit([] {
        std::fputs("apple", stdout);
        std::fflush(stdout);
    });
}
