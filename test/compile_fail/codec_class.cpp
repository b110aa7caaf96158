// expect: specialise cofutures::Codec
#include <cofutures/codec.hpp>

namespace {

class Account {
public:
    explicit Account(int number) : number_(number) {}
    int number() const { return number_; }

private:
    int number_;
};

}  // namespace

void encode_account(cofutures::Encoder& encoder) {
    cofutures::encode(encoder, Account(1));
}
