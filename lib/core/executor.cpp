#include <cofutures/executor.hpp>

namespace cofutures {

Executor::~Executor() = default;

}  // namespace cofutures
