#include "process/tasks.hpp"

namespace cofutures::test::library {

int static_task(int value) {
    return value - 2;
}

}  // namespace cofutures::test::library
