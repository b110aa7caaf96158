// expect: no matching (member )?function.*add_done_callback
#include <cofutures/future.hpp>

int main() {
    cofutures::Promise<int> promise;
    promise.get_future().add_done_callback([](int) {});
}
