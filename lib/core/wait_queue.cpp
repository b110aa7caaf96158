#include <cofutures/detail/wait_queue.hpp>

namespace cofutures::detail {

WaitQueue::WaitQueue(std::span<StateBase* const> futures, Waiter::Role role)
    : WaitSet(futures, role, Goal::first_completed), remaining_(futures.size()) {}

WaitQueue::Owner WaitQueue::start(std::span<StateBase* const> futures, Waiter::Role role) {
    Owner queue(new WaitQueue(futures, role));
    queue->hold();
    queue->join();
    return queue;
}

void WaitQueue::join() noexcept {
    for (Slot& slot : slots()) {
        if (!enter(slot)) {
            ready_.push(slot);
        }
    }
}

std::optional<std::size_t> WaitQueue::pop() noexcept {
    if (ready_.first == nullptr) {
        const std::lock_guard lock(mutex_);
        ready_ = std::exchange(arrived_, List());
    }
    Slot* slot = ready_.first;
    if (slot == nullptr) {
        return std::nullopt;
    }
    ready_.first = slot->next;
    slot->registered = false;
    --remaining_;
    return index_of(*slot);
}

bool WaitQueue::wait(const Deadline& deadline) {
    const boost::intrusive_ptr<WaitEvent> event = arrival();
    if (block(*event, deadline)) {
        return true;
    }
    // A future may be done, and seen to be, a moment before its thread tells us: it must not be
    // missed.
    for (const Slot& slot : slots()) {
        if (slot.registered && slot.future().done()) {
            return block(*event, std::nullopt);
        }
    }
    return false;
}

boost::intrusive_ptr<WaitEvent> WaitQueue::arrival() {
    boost::intrusive_ptr<WaitEvent> fresh(new WaitEvent);
    {
        const std::lock_guard lock(mutex_);
        if (ready_.first == nullptr && arrived_.first == nullptr && remaining_ != 0) {
            if (arrival_ == nullptr) {
                arrival_ = std::move(fresh);
            }
            return arrival_;
        }
    }
    fresh->set();
    return fresh;
}

void WaitQueue::told(Slot& slot) noexcept {
    boost::intrusive_ptr<WaitEvent> event;
    {
        const std::lock_guard lock(mutex_);
        arrived_.push(slot);
        event.swap(arrival_);
    }
    if (event != nullptr) {
        event->set();
    }
}

void WaitQueue::release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        delete this;
    }
}

}  // namespace cofutures::detail
