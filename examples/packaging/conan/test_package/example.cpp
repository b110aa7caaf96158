#include <cofutures/thread_pool_executor.hpp>

#include <iostream>

int main() {
    cofutures::ThreadPoolExecutor pool(2);
    std::cout << pool.submit([] { return 42; }).result() << '\n';
}
