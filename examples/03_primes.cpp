// Python's example for ProcessPoolExecutor: which of six numbers are prime, found by worker
// processes that are this same program, and once more without them.

#include <cofutures/process_pool_executor.hpp>

#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr std::array<std::int64_t, 6> numbers = {
    112272535095293,
    112582705942171,
    112272535095293,
    115280095190773,
    115797848077099,
    1099726899285419,
};

bool is_prime(std::int64_t n) {
    if (n < 2) {
        return false;
    }
    if (n % 2 == 0) {
        return n == 2;
    }
    const auto root = static_cast<std::int64_t>(std::floor(std::sqrt(static_cast<double>(n))));
    for (std::int64_t divisor = 3; divisor <= root; divisor += 2) {
        if (n % divisor == 0) {
            return false;
        }
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    cofutures::freeze_support(argc, argv);  // in a worker it serves tasks and does not return

    auto start = Clock::now();
    std::vector<bool> answers;
    {
        cofutures::ProcessPoolExecutor pool;
        std::vector<cofutures::Future<bool>> futures;
        for (const std::int64_t number : numbers) {
            futures.push_back(pool.submit(is_prime, number));
        }
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            answers.push_back(futures[i].result());
            std::cout << numbers[i] << " is prime: " << (answers[i] ? "True" : "False") << '\n';
        }
        std::cout << pool.worker_pids().size() << " worker processes: ";
    }
    std::cout << Milliseconds(Clock::now() - start).count()
              << " ms, starting and ending them too\n";

    start = Clock::now();
    std::vector<bool> expected;
    for (const std::int64_t number : numbers) {
        expected.push_back(is_prime(number));
    }
    std::cout << "one after the other:  " << Milliseconds(Clock::now() - start).count() << " ms\n";
    return answers == expected ? EXIT_SUCCESS : EXIT_FAILURE;
}
