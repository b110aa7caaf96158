// expect: Connection.*specialise cofutures::Codec|specialise cofutures::Codec.*Connection
#include <cofutures/detail/remote_call.hpp>

struct Connection {
    explicit Connection(int*) {}
};

Connection open() {
    return Connection(nullptr);
}

void send() {
    cofutures::detail::RemoteConstantCall<&open>::require_remotable();
}
