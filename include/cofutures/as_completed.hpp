#pragma once

#include <cofutures/any_future.hpp>
#include <cofutures/error.hpp>
#include <cofutures/detail/async_operation.hpp>
#include <cofutures/detail/deadline.hpp>
#include <cofutures/detail/initiate.hpp>
#include <cofutures/detail/wait_deliver.hpp>
#include <cofutures/detail/wait_futures.hpp>
#include <cofutures/detail/wait_queue.hpp>

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace cofutures {

template <class F>
class AsCompleted;
template <class F>
class AsyncAsCompleted;

namespace detail {

template <class F>
AsCompleted<F> make_as_completed(std::vector<F> futures, Deadline deadline);
template <class F>
AsyncAsCompleted<F> make_async_as_completed(std::vector<F> futures);

}  // namespace detail

/// The futures that as_completed() was given, as they end: an input range, also for std::views.
///
/// @tparam F  Future<T> or AnyFuture.
///
/// **Lifetime.** Move-only; to be moved before begin(), not after. Destroying it early leaves the
/// remaining futures, which go on. Nothing is kept of a future that was given away: a loop variable
/// that is a value takes the only handle this range has.
///
/// @thread_safety  Distinct objects: safe. Shared objects: unsafe.
/// @python         the generator that as_completed() returns.
template <class F>
class AsCompleted : public std::ranges::view_base {
public:
    /// Blocks as it is advanced; dereferences to an rvalue, to be taken or looked at.
    class Iterator {
    public:
        using iterator_concept = std::input_iterator_tag;
        using value_type = F;
        using difference_type = std::ptrdiff_t;

        F&& operator*() const noexcept { return std::move(*range_->current_); }
        Iterator& operator++() {
            range_->advance();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator& iterator, std::default_sentinel_t) noexcept {
            return iterator.at_end();
        }

    private:
        friend class AsCompleted;
        [[nodiscard]] bool at_end() const noexcept { return !range_->current_; }
        explicit Iterator(AsCompleted& range) noexcept : range_(&range) {}

        AsCompleted* range_;
    };

    /// Waits for the first future not given yet: a loop that was left can be taken up again.
    ///
    /// Advancing the iterator waits, and throws, in the same way.
    ///
    /// @throws TimeoutError   "2 (of 4) futures unfinished": the deadline has passed, and all that
    ///                        is done was given. The range has then ended.
    /// @throws DeadlockError  inside a task, if the wait could never end.
    Iterator begin() {
        advance();
        return Iterator(*this);
    }
    /// The end of the range.
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

private:
    friend AsCompleted detail::make_as_completed<F>(std::vector<F>, detail::Deadline);

    AsCompleted(std::unique_ptr<detail::CompletionStream<F>> stream, detail::Deadline deadline)
        : stream_(std::move(stream)), deadline_(deadline) {}

    void advance() {
        current_.reset();
        if (stream_ == nullptr) {
            return;
        }
        detail::WaitQueue& queue = stream_->queue();
        while (queue.remaining() != 0) {
            current_ = stream_->pop();
            if (current_) {
                return;
            }
            if (!queue.wait(deadline_)) {
                const std::string unfinished = std::to_string(queue.remaining());
                const std::string all = std::to_string(stream_->size());
                stream_.reset();
                throw TimeoutError(unfinished + " (of " + all + ") futures unfinished");
            }
        }
        stream_.reset();
    }

    std::unique_ptr<detail::CompletionStream<F>> stream_;  // null at the end
    detail::Deadline deadline_;
    std::optional<F> current_;
};

/// Gives futures as they end: those that are done first, the others in the order they end.
///
/// @code{.cpp} run
/// cofutures::Promise<std::string> tortoise;
/// cofutures::Promise<std::string> hare;
/// auto race = cofutures::as_completed({hare.get_future(), tortoise.get_future()});
/// tortoise.set_result("tortoise");
/// hare.set_result("hare");
/// std::string order;
/// for (cofutures::Future<std::string> runner : race) {
///     order += runner.result() + ' ';
/// }
/// assert(order == "tortoise hare ");
/// @endcode
///
/// The futures are read, and waiting for them begins, at the call. Duplicates are given once; a
/// cancelled future is done.
///
/// @param futures  An input range of Future<T>, or of AnyFuture for mixed types; a list in braces
///                 too. A container given as an rvalue gives up its handles.
/// @returns A range whose iteration blocks; see AsCompleted.
/// @throws InvalidStateError  if a handle is empty; never for what the tasks did.
/// @thread_safety  Safe.
/// @complexity     O(n) for the call, O(1) for each future given; n slots of memory.
/// @python         as_completed(fs). Difference: it begins at the call, not at the first iteration.
template <detail::FutureRange R = std::initializer_list<AnyFuture>>
[[nodiscard]] auto as_completed(R&& futures) {
    return detail::make_as_completed(
        detail::to_vector(std::forward<R>(futures)), detail::Deadline()
    );
}
template <class F>
[[nodiscard]] auto as_completed(std::initializer_list<F> futures) {
    return detail::make_as_completed(detail::to_vector(futures), detail::Deadline());
}

/// Gives futures as they end, for at most `timeout` from the call.
///
/// What is done is given even after the deadline; when no more is, iteration throws TimeoutError.
///
/// @param timeout  For all futures together, on the steady clock; zero or less never blocks.
/// @python         as_completed(fs, timeout). Difference: in Python the clock starts at the first
///                 iteration, and a slow consumer loses what ended meanwhile.
template <detail::FutureRange R = std::initializer_list<AnyFuture>, class Rep, class Period>
[[nodiscard]] auto as_completed(R&& futures, std::chrono::duration<Rep, Period> timeout) {
    const detail::Deadline deadline = detail::deadline_after(timeout);
    return detail::make_as_completed(detail::to_vector(std::forward<R>(futures)), deadline);
}
template <class F, class Rep, class Period>
[[nodiscard]] auto
as_completed(std::initializer_list<F> futures, std::chrono::duration<Rep, Period> timeout) {
    const detail::Deadline deadline = detail::deadline_after(timeout);
    return detail::make_as_completed(detail::to_vector(futures), deadline);
}

/// The futures that async_as_completed() was given, as they end, one Asio operation for each.
///
/// @tparam F  Future<T> or AnyFuture.
///
/// **Lifetime.** It may be destroyed while an operation is outstanding, which then goes on.
/// Destroying it otherwise leaves the remaining futures.
///
/// @thread_safety  Distinct objects: safe. Shared objects: unsafe; one operation at a time.
/// @python         none; asyncio.as_completed() comes near.
template <class F>
class AsyncAsCompleted {
public:
    /// Waits for the next future, as an Asio operation: empty when all were given.
    ///
    /// Cancellation, executor and work as for async_wait(); an aborted operation takes no future.
    ///
    /// @param token  Completion token for `void(std::exception_ptr, std::optional<F>)`; by default
    ///               the operation is an `asio::awaitable`.
    /// @throws InvalidStateError  when the operation is started while another one is outstanding.
    template <
        boost::asio::completion_token_for<detail::NextSignature<F>> CompletionToken =
            boost::asio::use_awaitable_t<>>
    auto next(CompletionToken&& token = CompletionToken()) {
        return boost::asio::async_initiate<CompletionToken, detail::NextSignature<F>>(
            detail::LambdaInitiation([](auto handler,
                                        std::shared_ptr<detail::AsyncStream<F>> source) {
                using Operation =
                    detail::AsyncOperation<detail::DeliverNext<F>, std::decay_t<decltype(handler)>>;
                detail::DeliverNext<F> deliver{detail::Turn<F>(std::move(source))};
                const auto event = deliver.turn.stream().queue().arrival();
                Operation::start(*event, std::move(deliver), std::move(handler));
            }),
            token,
            source_
        );
    }

private:
    friend AsyncAsCompleted detail::make_async_as_completed<F>(std::vector<F>);

    explicit AsyncAsCompleted(detail::DistinctFutures<F> distinct)
        : source_(new detail::AsyncStream<F>{
              {std::move(distinct.futures), distinct.states, detail::Waiter::Role::operation}}) {}

    std::shared_ptr<detail::AsyncStream<F>> source_;
};

/// Gives futures as they end, to a coroutine or a chain of handlers.
///
/// @code{.cpp} run
/// #include <boost/asio/awaitable.hpp>
/// #include <boost/asio/co_spawn.hpp>
/// #include <boost/asio/detached.hpp>
/// #include <boost/asio/io_context.hpp>
/// const auto sum = [](std::vector<Future<int>> futures, int& total) -> asio::awaitable<void> {
///     auto completed = cofutures::async_as_completed(std::move(futures));
///     while (auto future = co_await completed.next()) {
///         total += future->result();
///     }
/// };
/// cofutures::Promise<int> one;
/// cofutures::Promise<int> two;
/// int total = 0;
/// asio::io_context context;
/// asio::co_spawn(context, sum({one.get_future(), two.get_future()}, total), asio::detached);
/// two.set_result(2);
/// one.set_result(1);
/// context.run();
/// assert(total == 3);
/// @endcode
///
/// @param futures  As for as_completed(); waiting for them begins at the call.
/// @throws InvalidStateError  if a handle is empty.
/// @complexity     As for as_completed(), and one more allocation for each future awaited.
template <detail::FutureRange R = std::initializer_list<AnyFuture>>
[[nodiscard]] auto async_as_completed(R&& futures) {
    return detail::make_async_as_completed(detail::to_vector(std::forward<R>(futures)));
}
template <class F>
[[nodiscard]] auto async_as_completed(std::initializer_list<F> futures) {
    return detail::make_async_as_completed(detail::to_vector(futures));
}

namespace detail {

template <class F>
AsCompleted<F> make_as_completed(std::vector<F> futures, Deadline deadline) {
    DistinctFutures distinct(std::move(futures));
    return AsCompleted<F>(
        std::make_unique<CompletionStream<F>>(
            std::move(distinct.futures), distinct.states, Waiter::Role::thread
        ),
        deadline
    );
}

template <class F>
AsyncAsCompleted<F> make_async_as_completed(std::vector<F> futures) {
    return AsyncAsCompleted<F>(DistinctFutures<F>(std::move(futures)));
}

}  // namespace detail
}  // namespace cofutures
