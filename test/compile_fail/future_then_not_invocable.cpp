// expect: then: the function cannot be called with the future's value
#include <cofutures/future.hpp>

#include <string>

int main() {
    cofutures::Promise<int> promise;
    promise.get_future().then([](std::string) {});
}
