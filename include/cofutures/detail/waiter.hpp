#pragma once

namespace cofutures::detail {

class StateBase;

/// One party that is told when a future is done: a blocked thread, a callback, a continuation, an
/// Asio operation, an entry of wait() or as_completed().
///
/// It is a node of the state's intrusive list, so that registering and leaving are O(1) and need no
/// memory of their own.
class Waiter {
public:
    /// What a waiter does when told; waiters are told role by role, in the order added within one.
    enum class Role : unsigned char {
        thread,     ///< sets a blocked thread free; runs no foreign code
        callback,   ///< reads the value at once, without a handle of its own
        operation,  ///< hands over to an executor, and reads the value later by a handle of its own
    };

    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    /// Tells that `state` is done. Called once, already out of the list, without any lock held; the
    /// waiter may destroy itself. `state` stays alive during the call.
    virtual void notify(StateBase& state) noexcept = 0;

protected:
    explicit Waiter(Role role) noexcept : role_(role) {}
    virtual ~Waiter() = default;

private:
    friend class WaiterList;

    Waiter* previous_ = nullptr;
    Waiter* next_ = nullptr;
    const Role role_;
};

/// Circular list of waiters that costs the future one pointer. Not thread-safe; owns nothing.
class WaiterList {
public:
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    [[nodiscard]] bool starts_with(Waiter::Role role) const noexcept {
        return first_ != nullptr && first_->role_ == role;
    }

    void push_back(Waiter& waiter) noexcept {
        if (first_ == nullptr) {
            waiter.previous_ = waiter.next_ = &waiter;
            first_ = &waiter;
            return;
        }
        Waiter* last = first_->previous_;
        waiter.previous_ = last;
        waiter.next_ = first_;
        last->next_ = &waiter;
        first_->previous_ = &waiter;
    }

    void erase(Waiter& waiter) noexcept {
        if (waiter.next_ == &waiter) {
            first_ = nullptr;
        } else {
            waiter.previous_->next_ = waiter.next_;
            waiter.next_->previous_ = waiter.previous_;
            if (first_ == &waiter) {
                first_ = waiter.next_;
            }
        }
        waiter.previous_ = waiter.next_ = nullptr;
    }

    /// Takes the first waiter out; null when there is none.
    Waiter* pop_front() noexcept {
        Waiter* waiter = first_;
        if (waiter != nullptr) {
            erase(*waiter);
        }
        return waiter;
    }

    /// Moves all of another list to the end of this one.
    void append(WaiterList& other) noexcept {
        while (Waiter* waiter = other.pop_front()) {
            push_back(*waiter);
        }
    }

    /// Moves those of one role into a list of their own, in order.
    WaiterList take(Waiter::Role role) noexcept {
        WaiterList taken;
        WaiterList others;
        while (Waiter* waiter = pop_front()) {
            (waiter->role_ == role ? taken : others).push_back(*waiter);
        }
        *this = others;
        return taken;
    }

private:
    Waiter* first_ = nullptr;
};

}  // namespace cofutures::detail
