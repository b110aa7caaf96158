// expect: Connection.*specialise cofutures::Codec|specialise cofutures::Codec.*Connection
#include <cofutures/detail/remote_call.hpp>

struct Connection {
    explicit Connection(int*) {}
};

void use(const Connection&, int) {}

void send() {
    cofutures::detail::RemoteCall<decltype(&use), Connection, int>::require_remotable();
}
