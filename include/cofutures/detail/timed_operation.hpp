#pragma once

#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/context_of.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/work_guard.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/wait_traits.hpp>
#include <boost/system/error_code.hpp>

#include <atomic>
#include <concepts>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// The timer of a TimedOperation: on the handler's executor, or on the system's where that has no
/// context for timers.
template <class AsioExecutor>
using OperationTimer = boost::asio::basic_waitable_timer<
    Clock,
    boost::asio::wait_traits<Clock>,
    std::conditional_t<HasContext<AsioExecutor>, AsioExecutor, boost::asio::system_executor>>;

/// An Asio operation that waits for a future until a deadline.
///
/// As AsyncOperation, with a timer beside. The list of waiters decides which of the three ends it
/// first: whoever takes the operation off the list (the future, by telling it; the timer and the
/// slot, by `remove`) says what it completes with. It completes when all that may still touch it
/// are through: the initiating call, the list, and the timer's handler. So nothing is left behind
/// when the handler runs, and the timer, which is not thread-safe, is cancelled by one of them
/// only, after it was started.
///
/// @tparam Deliver  Callable as `deliver(handler, why_not)`.
template <class Deliver, class Handler>
class TimedOperation final : public Waiter {
public:
    /// Begins to wait. Consumes the handler.
    static void start(StateBase& state, const Deadline& deadline, Deliver deliver, Handler handler);

    void notify(StateBase& /*state*/) noexcept override {
        timer_.cancel();
        leave();
    }

private:
    using FallbackExecutor = boost::asio::system_executor;
    using FallbackAllocator = boost::asio::recycling_allocator<void>;
    using AsioExecutor = boost::asio::associated_executor_t<Handler, FallbackExecutor>;
    using HandlerAllocator = boost::asio::associated_allocator_t<Handler, FallbackAllocator>;
    using Allocator =
        typename std::allocator_traits<HandlerAllocator>::template rebind_alloc<TimedOperation>;

    /// The timer's handler. The timer's share of the operation: given back when it is destroyed
    /// unused too, with a context that ends.
    class OnTimer {
    public:
        using executor_type = AsioExecutor;
        using allocator_type = HandlerAllocator;

        explicit OnTimer(TimedOperation& operation) noexcept
            : operation_(&operation),
              executor_(operation.executor()),
              allocator_(operation.allocator()) {}
        OnTimer(OnTimer&& other) noexcept
            : operation_(std::exchange(other.operation_, nullptr)),
              executor_(other.executor_),      // NOLINT(performance-move-constructor-init)
              allocator_(other.allocator_) {}  // NOLINT(performance-move-constructor-init)
        OnTimer& operator=(OnTimer&&) = delete;
        ~OnTimer() {
            if (operation_ != nullptr) {
                operation_->drop();
            }
        }

        executor_type get_executor() const noexcept { return executor_; }
        allocator_type get_allocator() const noexcept { return allocator_; }

        void operator()(const boost::system::error_code& /*error*/) {
            std::exchange(operation_, nullptr)->tick();
        }

    private:
        TimedOperation* operation_;
        // Asked for after the operation is gone, too.
        executor_type executor_;
        allocator_type allocator_;
    };

    /// The right to take the operation off the list, of the timer and the slot: the first to claim
    /// it may ask the list. Outlives the operation in the slot, which must not touch what ran out
    /// of time and is gone.
    using Claim = std::atomic<bool>;

    /// As AsyncOperation::Abort.
    class Abort {
    public:
        Abort(StateBase& state, TimedOperation& operation)
            : state_(&state), operation_(&operation), claim_(operation.claim_) {}

        void operator()(boost::asio::cancellation_type type) {
            using boost::asio::cancellation_type;
            constexpr auto accepted =
                cancellation_type::terminal | cancellation_type::partial | cancellation_type::total;
            if ((type & accepted) == cancellation_type::none ||
                claim_->exchange(true, std::memory_order_acq_rel)) {
                return;
            }
            // To locals: what completes may give the slot, and with it this object, to another use.
            const StatePtr state = std::move(state_);
            TimedOperation* operation = operation_;
            if (state->remove(*operation)) {
                operation->why_not_ = boost::asio::error::operation_aborted;
                operation->timer_.cancel();
                operation->leave();
            }
        }

    private:
        StatePtr state_;
        TimedOperation* operation_;
        std::shared_ptr<Claim> claim_;
    };

    TimedOperation(StateBase& state, Deliver deliver, Handler handler)
        : Waiter(Role::operation),
          state_(&state),
          deliver_(std::move(deliver)),
          handler_(std::move(handler)),
          work_(executor()),
          timer_(timer_executor()) {}
    ~TimedOperation() override = default;

    AsioExecutor executor() const noexcept {
        return boost::asio::get_associated_executor(handler_, FallbackExecutor());
    }
    HandlerAllocator allocator() const noexcept {
        return boost::asio::get_associated_allocator(handler_, FallbackAllocator());
    }
    auto timer_executor() const noexcept {
        if constexpr (HasContext<AsioExecutor>) {
            return executor();
        } else {
            return boost::asio::system_executor();
        }
    }

    void begin(const Deadline& deadline) {
        try {
            timer_.expires_at(deadline.value_or(Clock::time_point::max()));
            timer_.async_wait(OnTimer(*this));
        } catch (...) {
            // A handler that was made was destroyed, too.
            if (!dropped_) {
                drop();
            }
            leave();  // for the list
            leave();
            throw;
        }
        if (!state_->add(*this)) {
            timer_.cancel();
            leave();  // for the list
        }
        if (published_.exchange(true, std::memory_order_acq_rel)) {
            expire();  // the timer was faster
        }
        leave();
    }

    // The timer has ended, by itself or cancelled, and this is its handler.
    void tick() {
        if (published_.exchange(true, std::memory_order_acq_rel)) {
            expire();
        }
        if (is_last()) {
            upcall()();
        }
    }

    // The context ended, and the handler will never run.
    void drop() noexcept {
        dropped_ = true;
        if (published_.exchange(true, std::memory_order_acq_rel)) {
            expire();
        }
        leave();
    }

    void expire() noexcept {
        if (claim_ != nullptr && claim_->exchange(true, std::memory_order_acq_rel)) {
            return;
        }
        if (state_->remove(*this)) {
            why_not_ = boost::asio::error::timed_out;
            leave();  // for the list
        }
    }

    [[nodiscard]] bool is_last() noexcept {
        return parties_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

    void leave() noexcept {
        if (!is_last()) {
            return;
        }
        if (dropped_) {
            Allocator memory(allocator());
            destroy(memory);
            return;
        }
        run_reporting_errors([this] {
            const auto work = std::move(work_);
            post_to(work.get_executor(), upcall());
        });
    }

    // Takes the operation apart: what is to be called when its memory is given back.
    auto upcall() {
        Allocator memory(allocator());
        auto call = boost::asio::bind_allocator(
            allocator(),
            [deliver = std::move(deliver_), handler = std::move(handler_), why_not = why_not_](
            ) mutable { deliver(std::move(handler), why_not); }
        );
        destroy(memory);
        return call;
    }

    void destroy(Allocator& memory) {
        this->~TimedOperation();
        std::allocator_traits<Allocator>::deallocate(memory, this, 1);
    }

    const StatePtr state_;
    Deliver deliver_;
    Handler handler_;
    WorkGuard<AsioExecutor> work_;
    OperationTimer<AsioExecutor> timer_;
    std::shared_ptr<Claim> claim_;        // null if there is no slot
    boost::system::error_code why_not_;   // written by who takes it off the list
    bool dropped_ = false;                // written by the timer's handler
    std::atomic<bool> published_{false};  // set twice: in the list, and by the timer's handler
    std::atomic<int> parties_{3};         // the initiating call, the list, the timer's handler
};

template <class Deliver, class Handler>
void TimedOperation<Deliver, Handler>::start(
    StateBase& state, const Deadline& deadline, Deliver deliver, Handler handler
) {
    Allocator memory(boost::asio::get_associated_allocator(handler, FallbackAllocator()));
    auto slot = boost::asio::get_associated_cancellation_slot(handler);
    TimedOperation* operation = std::allocator_traits<Allocator>::allocate(memory, 1);
    try {
        ::new (static_cast<void*>(operation))
            TimedOperation(state, std::move(deliver), std::move(handler));
    } catch (...) {
        std::allocator_traits<Allocator>::deallocate(memory, operation, 1);
        throw;
    }
    if (slot.is_connected()) {
        try {
            operation->claim_ = std::make_shared<Claim>(false);
            slot.template emplace<Abort>(state, *operation);
        } catch (...) {
            operation->destroy(memory);
            throw;
        }
    }
    try {
        operation->begin(deadline);
    } catch (...) {
        if (slot.is_connected()) {
            slot.clear();
        }
        throw;
    }
}

}  // namespace cofutures::detail
