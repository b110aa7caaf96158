#include <cofutures/blocking_region.hpp>

#include "core/task_place.hpp"

namespace cofutures {

blocking_region::blocking_region() noexcept : worker_(detail::WorkerContext::current()) {
    if (worker_ != nullptr) {
        worker_->begin_blocking();
    }
}

blocking_region::~blocking_region() {
    if (worker_ != nullptr) {
        worker_->end_blocking();
    }
}

}  // namespace cofutures
