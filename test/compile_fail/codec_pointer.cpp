// expect: this type cannot cross to another process
#include <cofutures/codec.hpp>

#include <vector>

namespace {

struct Job {
    int number;
    const char* name;
};

}  // namespace

void encode_job(cofutures::Encoder& encoder) {
    cofutures::encode(encoder, std::vector<Job>());
}
