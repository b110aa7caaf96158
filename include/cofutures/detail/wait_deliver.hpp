#pragma once

#include <cofutures/any_future.hpp>
#include <cofutures/error.hpp>
#include <cofutures/future.hpp>
#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/make_error.hpp>
#include <cofutures/detail/wait_queue.hpp>
#include <cofutures/detail/wait_set.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace cofutures {

/// What wait() found: each future in one of the two, in input order.
///
/// @tparam F  Future<T> or AnyFuture.
template <class F>
struct DoneAndNotDoneOf {
    /// Those that are done, cancelled ones too.
    std::vector<F> done;
    /// The others.
    std::vector<F> not_done;
};

/// What wait() found of futures of T.
///
/// @python  the named tuple DoneAndNotDoneFutures. Difference: in input order.
template <class T>
using DoneAndNotDone = DoneAndNotDoneOf<Future<T>>;

namespace detail {

template <class F>
using WaitSignature = void(std::exception_ptr, DoneAndNotDoneOf<F>);

template <class F>
using NextSignature = void(std::exception_ptr, std::optional<F>);

template <class F>
DoneAndNotDoneOf<F> partition(std::vector<F> futures) {
    DoneAndNotDoneOf<F> result;
    for (F& future : futures) {
        (future.done() ? result.done : result.not_done).push_back(std::move(future));
    }
    return result;
}

/// What an operation that was aborted, or was not, completes with.
inline std::exception_ptr error_of(bool aborted) {
    using boost::system::system_error;
    return aborted ? make_error<system_error>(boost::asio::error::operation_aborted)
                   : std::exception_ptr();
}

/// Completes async_wait(). If it is destroyed unused the wait ends as well.
template <class F>
struct DeliverPartition {
    std::vector<F> futures;
    GoalEvent::Owner event;  // after the futures: it leaves them before they go

    template <class Handler>
    void operator()(Handler&& handler, bool aborted) {
        event.reset();
        DoneAndNotDoneOf<F> found;
        if (!aborted) {
            found = partition(std::move(futures));
        }
        futures.clear();  // before the upcall: the handler may wait for a value's end
        std::forward<Handler>(handler)(error_of(aborted), std::move(found));
    }
};

/// A stream of which an Asio operation can await the next future, one at a time.
template <class F>
struct AsyncStream {
    CompletionStream<F> stream;
    std::atomic<bool> awaited{false};
};

/// The right to await the next future of a stream, which it keeps alive.
template <class F>
class Turn {
public:
    /// @throws InvalidStateError  if somebody awaits it already.
    explicit Turn(std::shared_ptr<AsyncStream<F>> source) : source_(std::move(source)) {
        if (source_->awaited.exchange(true, std::memory_order_acquire)) {
            source_.reset();
            throw InvalidStateError("next: the next future is being awaited already");
        }
    }
    Turn(Turn&&) noexcept = default;
    Turn& operator=(Turn&&) = delete;
    ~Turn() { end(); }

    [[nodiscard]] CompletionStream<F>& stream() const noexcept { return source_->stream; }

    void end() noexcept {
        if (source_ != nullptr) {
            source_->awaited.store(false, std::memory_order_release);
            source_.reset();
        }
    }

private:
    std::shared_ptr<AsyncStream<F>> source_;
};

/// Completes AsyncAsCompleted::next().
template <class F>
struct DeliverNext {
    Turn<F> turn;

    template <class Handler>
    void operator()(Handler&& handler, bool aborted) {
        std::optional<F> next;
        if (!aborted) {
            next = turn.stream().pop();
        }
        turn.end();  // before the upcall: the handler may ask for the one after
        std::forward<Handler>(handler)(error_of(aborted), std::move(next));
    }
};

}  // namespace detail
}  // namespace cofutures
