#pragma once

#include <cofutures/export.hpp>
#include <cofutures/detail/wait_set.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace cofutures::detail {

/// Queues futures in the order they end, for one consumer. Those that are done at the start come
/// first, in input order.
class COFUTURES_EXPORT WaitQueue final : public WaitSet {
public:
    using Owner = std::unique_ptr<WaitQueue, Leave>;

    /// @param role  `thread` if the consumer blocks, `operation` if it awaits arrival() with Asio.
    [[nodiscard]] static Owner start(std::span<StateBase* const> futures, Waiter::Role role);

    /// Takes the next index out; none if no further future has ended. The set is through with a
    /// future that was taken out, and so may the owner be. The consumer's.
    std::optional<std::size_t> pop() noexcept;

    /// Blocks until there is something to take out; false if the deadline came first. Not to be
    /// called when all were taken out.
    bool wait(const Deadline& deadline);

    /// An event that is done once there is something to take out, or if all were taken out.
    [[nodiscard]] boost::intrusive_ptr<WaitEvent> arrival();

    /// How many were not taken out yet. The consumer's.
    [[nodiscard]] std::size_t remaining() const noexcept { return remaining_; }

private:
    WaitQueue(std::span<StateBase* const> futures, Waiter::Role role);
    ~WaitQueue() override = default;

    /// Singly linked list of slots; owns nothing.
    struct List {
        Slot* first = nullptr;
        Slot* last = nullptr;

        void push(Slot& slot) noexcept {
            (last == nullptr ? first : last->next) = &slot;
            last = &slot;
        }
    };

    void join() noexcept;
    void told(Slot& slot) noexcept override;
    void hold() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept override;

    std::atomic<std::size_t> references_{0};
    std::size_t remaining_;  // the consumer's
    List ready_;             // the consumer's; older than all in arrived_
    std::mutex mutex_;       // guards what follows; taken by threads that end futures
    List arrived_;
    boost::intrusive_ptr<WaitEvent> arrival_;  // not done; null if nobody asked for it
};

/// Futures handed out in the order they end; nothing of them is kept.
///
/// @tparam F  Future<T> or AnyFuture.
template <class F>
class CompletionStream {
public:
    CompletionStream(std::vector<F> futures, std::span<StateBase* const> states, Waiter::Role role)
        : futures_(std::move(futures)), queue_(WaitQueue::start(states, role)) {}
    CompletionStream(const CompletionStream&) = delete;
    CompletionStream& operator=(const CompletionStream&) = delete;

    /// Gives the next future that is done; none if no further one is.
    std::optional<F> pop() {
        const auto index = queue_->pop();
        return index ? std::optional<F>(std::exchange(futures_[*index], F())) : std::nullopt;
    }

    [[nodiscard]] WaitQueue& queue() const noexcept { return *queue_; }
    [[nodiscard]] std::size_t size() const noexcept { return futures_.size(); }

private:
    std::vector<F> futures_;
    WaitQueue::Owner queue_;  // after the futures: it leaves them before they go
};

}  // namespace cofutures::detail
