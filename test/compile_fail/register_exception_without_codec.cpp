// expect: exceptions of this type cannot be sent
#include <cofutures/register_exception.hpp>

#include <exception>

namespace {

class Failure : public std::exception {
public:
    explicit Failure(int number) : number_(number) {}
    int number() const { return number_; }

private:
    int number_;
};

}  // namespace

void register_failure() {
    cofutures::register_exception<Failure>();
}
