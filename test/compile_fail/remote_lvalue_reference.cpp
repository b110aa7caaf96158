// expect: no parameter may be a non-const lvalue reference
#include <cofutures/detail/remote_call.hpp>

void increment(int& number) {
    ++number;
}

void send() {
    cofutures::detail::RemoteCall<decltype(&increment), int>::require_remotable();
}
