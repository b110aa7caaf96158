#pragma once

#include <cofutures/detail/callback_error.hpp>
#include <cofutures/detail/state_base.hpp>
#include <cofutures/detail/work_guard.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/system_executor.hpp>

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// Posts to any executor, also to one that can only run things in place.
template <class AsioExecutor, class Fn>
void post_to(const AsioExecutor& executor, Fn fn) {
    namespace asio = boost::asio;
    if constexpr (asio::can_require<AsioExecutor, asio::execution::blocking_t::never_t>::value) {
        asio::post(executor, std::move(fn));
    } else {
        asio::post(asio::system_executor(), asio::bind_executor(executor, std::move(fn)));
    }
}

/// An Asio operation that waits for a future: the waiter that holds the completion handler.
///
/// Its memory comes from the handler's associated allocator and is given back before the handler
/// runs. The handler's executor is kept from running out of work meanwhile, and runs the handler;
/// it is never run inside the initiating call, nor inside the emission of a cancellation.
///
/// @tparam Deliver  Callable as `deliver(handler, aborted)`: calls the handler with its arguments.
/// If
///                  it has `abort(state)`, that is called first when the operation is cancelled.
template <class Deliver, class Handler>
class AsyncOperation final : public Waiter {
public:
    /// Begins to wait. Consumes the handler.
    static void start(StateBase& state, Deliver deliver, Handler handler);

    void notify(StateBase& /*state*/) noexcept override { complete(Via::dispatch, false); }

private:
    // Passed explicitly: the default of Asio itself has changed between versions.
    using FallbackExecutor = boost::asio::system_executor;
    using FallbackAllocator = boost::asio::recycling_allocator<void>;
    using AsioExecutor = boost::asio::associated_executor_t<Handler, FallbackExecutor>;
    using Allocator = typename std::allocator_traits<
        boost::asio::associated_allocator_t<Handler, FallbackAllocator>>::
        template rebind_alloc<AsyncOperation>;

    enum class Via { dispatch, post };

    /// What is put into the cancellation slot. The slot may keep it long after the operation ended;
    /// it never touches the operation then, as the state no longer knows it. The slot is used by
    /// one thread at a time, so forgetting the operation after the first signal needs no lock.
    class Abort {
    public:
        Abort(StateBase& state, AsyncOperation& operation)
            : state_(&state), operation_(&operation) {}

        void operator()(boost::asio::cancellation_type type) {
            using boost::asio::cancellation_type;
            constexpr auto accepted =
                cancellation_type::terminal | cancellation_type::partial | cancellation_type::total;
            if ((type & accepted) == cancellation_type::none || operation_ == nullptr) {
                return;
            }
            // To locals: what completes may give the slot, and with it this object, to another use.
            const StatePtr state = std::move(state_);
            AsyncOperation* operation = std::exchange(operation_, nullptr);
            if (state->remove(*operation)) {
                if constexpr (requires { operation->deliver_.abort(*state); }) {
                    operation->deliver_.abort(*state);
                }
                operation->complete(Via::post, true);
            }
        }

    private:
        StatePtr state_;
        AsyncOperation* operation_;
    };

    AsyncOperation(Deliver deliver, Handler handler)
        : Waiter(Role::operation),
          deliver_(std::move(deliver)),
          handler_(std::move(handler)),
          work_(boost::asio::get_associated_executor(handler_, FallbackExecutor())) {}
    ~AsyncOperation() override = default;

    void complete(Via via, bool aborted) noexcept {
        try {
            Allocator allocator(boost::asio::get_associated_allocator(handler_, FallbackAllocator())
            );
            auto work = std::move(work_);
            auto upcall = boost::asio::bind_allocator(
                boost::asio::get_associated_allocator(handler_, FallbackAllocator()),
                [deliver = std::move(deliver_), handler = std::move(handler_), aborted]() mutable {
                    deliver(std::move(handler), aborted);
                }
            );
            destroy(allocator, this);
            if (via == Via::dispatch) {
                boost::asio::dispatch(work.get_executor(), std::move(upcall));
            } else {
                post_to(work.get_executor(), std::move(upcall));
            }
        } catch (...) {
            report_callback_error(std::current_exception());
        }
    }

    static void destroy(Allocator& allocator, AsyncOperation* operation) {
        operation->~AsyncOperation();
        std::allocator_traits<Allocator>::deallocate(allocator, operation, 1);
    }

    Deliver deliver_;
    Handler handler_;
    WorkGuard<AsioExecutor> work_;
};

template <class Deliver, class Handler>
void AsyncOperation<Deliver, Handler>::start(StateBase& state, Deliver deliver, Handler handler) {
    Allocator allocator(boost::asio::get_associated_allocator(handler, FallbackAllocator()));
    AsyncOperation* operation = std::allocator_traits<Allocator>::allocate(allocator, 1);
    auto slot = boost::asio::get_associated_cancellation_slot(handler);
    try {
        ::new (static_cast<void*>(operation))
            AsyncOperation(std::move(deliver), std::move(handler));
    } catch (...) {
        std::allocator_traits<Allocator>::deallocate(allocator, operation, 1);
        throw;
    }
    // The slot is armed before the waiter is published: from then on the handler may already run
    // elsewhere, and the slot belong to whatever it starts next.
    if (slot.is_connected()) {
        try {
            slot.template emplace<Abort>(state, *operation);
        } catch (...) {
            destroy(allocator, operation);
            throw;
        }
    }
    const StatePtr keep(&state);
    if (!state.add(*operation)) {
        operation->complete(Via::post, false);
    }
}

}  // namespace cofutures::detail
