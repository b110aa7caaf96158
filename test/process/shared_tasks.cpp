#include "process/tasks.hpp"

namespace cofutures::test::library {

int shared_task(int value) {
    return value + 1;
}

Future<int> submit_from_shared(Executor& executor, int value) {
    return executor.submit([](int number) { return number + 3; }, value);
}

Future<int> submit_function_from_shared(Executor& executor, int value) {
    return executor.submit(shared_task, value);
}

}  // namespace cofutures::test::library
