// expect: wants a std::stop_token cannot be sent to another process
#include <cofutures/detail/remote_call.hpp>

#include <stop_token>

void run_until_stopped(std::stop_token, int) {}

void send() {
    cofutures::detail::RemoteCall<decltype(&run_until_stopped), int>::require_remotable();
}
