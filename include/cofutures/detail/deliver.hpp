#pragma once

#include <cofutures/error.hpp>
#include <cofutures/detail/make_error.hpp>
#include <cofutures/detail/state.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace cofutures {

/// Stands for a T& in the completion signature of `Future<T&>::async_result`, where Asio wants
/// something that can be made without a value. Converts to T&.
template <class T>
class Reference {
public:
    /// Refers to nothing; what a handler gets beside an error.
    Reference() = default;
    Reference(T& target) noexcept  // NOLINT(google-explicit-constructor): stands for the reference
        : target_(std::addressof(target)) {}

    /// The object referred to. Undefined if there is none.
    [[nodiscard]] T& get() const noexcept { return *target_; }
    operator T&() const noexcept { return *target_; }  // NOLINT(google-explicit-constructor)

private:
    T* target_ = nullptr;
};

namespace detail {

/// What a completion handler gets for a T: T itself, `std::optional<T>` if T cannot be made without
/// a value (Asio needs one beside an error), `Reference<T>` for a reference.
template <class T>
struct AsyncValue {
    using type = std::conditional_t<std::is_default_constructible_v<T>, T, std::optional<T>>;
};
template <class T>
struct AsyncValue<T&> {
    using type = Reference<T>;
};

template <class T>
struct ResultSignature {
    using type = void(std::exception_ptr, typename AsyncValue<T>::type);
};
template <>
struct ResultSignature<void> {
    using type = void(std::exception_ptr);
};

/// What a handler gets that wants an exception for why an operation gave no value.
inline std::exception_ptr exception_of(const boost::system::error_code& why) {
    return why == boost::asio::error::timed_out ? make_error<TimeoutError>()
                                                : make_error<boost::system::system_error>(why);
}

/// Why an operation ended that was aborted, or was not.
inline boost::system::error_code code_of(bool aborted) {
    return aborted ? boost::system::error_code(boost::asio::error::operation_aborted)
                   : boost::system::error_code();
}

/// Completes `async_wait`: the handler gets an error code and the value stays alone.
struct DeliverDone {
    template <class Handler>
    void operator()(Handler&& handler, bool aborted) {
        (*this)(std::forward<Handler>(handler), code_of(aborted));
    }

    /// @param why_not  operation_aborted or timed_out; no error if the future is done.
    template <class Handler>
    void operator()(Handler&& handler, boost::system::error_code why_not) {
        std::forward<Handler>(handler)(why_not);
    }
};

/// Completes `async_result`. Holds a handle, here as elsewhere a FutureType; reads the value on the
/// handler's executor, and turns a copy that throws into the exception.
template <class T, class FutureType>
struct DeliverResult {
    using Value = typename AsyncValue<T>::type;

    FutureType future;

    template <class Handler>
    void operator()(Handler&& handler, bool aborted) {
        (*this)(std::forward<Handler>(handler), code_of(aborted));
    }

    template <class Handler>
    void operator()(Handler&& handler, boost::system::error_code why_not) {
        std::exception_ptr error;
        std::optional<Value> value;
        if (why_not) {
            error = exception_of(why_not);
        } else {
            try {
                value.emplace(std::move(future).result());
            } catch (...) {
                error = std::current_exception();
            }
        }
        future = FutureType();  // before the upcall: the handler may wait for the value's end
        if (value) {
            std::forward<Handler>(handler)(std::move(error), std::move(*value));
        } else {
            std::forward<Handler>(handler)(std::move(error), Value());
        }
    }
};

template <class FutureType>
struct DeliverResult<void, FutureType> {
    FutureType future;

    template <class Handler>
    void operator()(Handler&& handler, bool aborted) {
        (*this)(std::forward<Handler>(handler), code_of(aborted));
    }

    template <class Handler>
    void operator()(Handler&& handler, boost::system::error_code why_not) {
        std::exception_ptr error;
        if (why_not) {
            error = exception_of(why_not);
        } else {
            try {
                future.result();
            } catch (...) {
                error = std::current_exception();
            }
        }
        future = FutureType();
        std::forward<Handler>(handler)(std::move(error));
    }
};

/// The same, but an operation that is cancelled takes the call with it.
template <class Deliver>
struct CancelsTheCall : Deliver {
    using Deliver::operator();

    static void abort(StateBase& state) noexcept {
        if (!state.cancel()) {
            state.request_stop();
        }
    }
};

}  // namespace detail
}  // namespace cofutures
