#include <cofutures/future.hpp>
#include <cofutures/version.hpp>

#include <cstdlib>
#include <iostream>

int main() {
    cofutures::Promise<int> promise;
    cofutures::Future<int> future = promise.get_future();
    promise.set_result(42);

    std::cout << "cofutures " << cofutures::version() << ": " << future.result() << '\n';
    return future.result() == 42 ? EXIT_SUCCESS : EXIT_FAILURE;
}
