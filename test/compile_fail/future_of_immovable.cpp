// expect: a future's value is moved to its reader: make it movable
#include <cofutures/future.hpp>

struct Immovable {
    Immovable() = default;
    Immovable(Immovable&&) = delete;
};

int main() {
    cofutures::Promise<Immovable> promise;
}
