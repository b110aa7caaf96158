// expect: holds data, as a lambda with captures does: pass the data as arguments
#include <cofutures/detail/remote_call.hpp>

void send() {
    int number = 1;
    auto task = [number] {
        return number;
    };
    cofutures::detail::RemoteCall<decltype(task)>::require_remotable();
}
