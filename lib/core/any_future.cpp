#include <cofutures/any_future.hpp>

#include <ostream>

namespace cofutures {

detail::StateBase& AnyFuture::state() const {
    if (state_ == nullptr) {
        throw InvalidStateError("the future is empty: it was default-constructed or moved from");
    }
    return *state_;
}

std::ostream& operator<<(std::ostream& out, const AnyFuture& future) {
    future.state().describe(out, future.label_());
    return out;
}

namespace detail {

StateBase& state_of(const AnyFuture& future) {
    return future.state();
}

}  // namespace detail
}  // namespace cofutures
