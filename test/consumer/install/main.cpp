#include <cofutures/error.hpp>
#include <cofutures/future.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>

int main() {
    cofutures::Promise<int> promise;
    cofutures::Future<int> future = promise.get_future();
    promise.set_exception(std::make_exception_ptr(cofutures::BrokenExecutor("on purpose")));

    // The type must be one and the same on both sides of a shared library's border.
    try {
        future.result();
    } catch (const cofutures::BrokenExecutor& error) {
        std::cout << "caught: " << error.what() << '\n';
        return EXIT_SUCCESS;
    }
    return EXIT_FAILURE;
}
