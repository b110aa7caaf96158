#pragma once

#include <cofutures/detail/state_base.hpp>

namespace cofutures::detail {

/// Runs the callbacks of a future that has just ended, and those of the continuations that end in
/// turn, one after the other: a chain of any length needs no more stack than one link.
///
/// A continuation that ends on this thread leaves its callbacks to the innermost scope. A callback
/// that blocks first runs all that comes after it on its thread, as that may be what it waits for.
class CompletionScope {
public:
    /// @param state  Has just ended, and is kept alive by the caller until the scope's end.
    explicit CompletionScope(StateBase& state) noexcept : outer_(innermost_), state_(state) {
        innermost_ = this;
    }
    CompletionScope(const CompletionScope&) = delete;
    CompletionScope& operator=(const CompletionScope&) = delete;
    ~CompletionScope() { innermost_ = outer_; }

    /// The scope that the calling thread is in; null outside of any.
    static CompletionScope* innermost() noexcept { return innermost_; }

    /// Runs the callbacks of the scopes that the calling thread is in, from within one of them.
    static void run_all() noexcept {
        for (CompletionScope* scope = innermost_; scope != nullptr; scope = scope->outer_) {
            scope->run();
        }
    }

    /// Runs the callbacks of the scope's state, then those that are left to the scope. Nested calls
    /// do what is not yet done.
    void run() noexcept {
        state_.finish_callbacks();
        while (first_ != nullptr) {
            const StatePtr state(first_);  // a nested call may take it off the queue
            state->finish_callbacks();
            if (first_ == state) {
                pop();
            }
        }
    }

    /// Leaves the callbacks of a done continuation to this scope.
    void defer(StateBase& state) noexcept {
        state.add_reference();
        state.next_in_queue = nullptr;
        (last_ == nullptr ? first_ : last_->next_in_queue) = &state;
        last_ = &state;
    }

private:
    void pop() noexcept {
        const StatePtr state(first_, false);
        first_ = state->next_in_queue;
        if (first_ == nullptr) {
            last_ = nullptr;
        }
    }

    static thread_local constinit CompletionScope* innermost_;

    CompletionScope* const outer_;
    StateBase& state_;
    StateBase* first_ = nullptr;  // its callbacks are running, or are next
    StateBase* last_ = nullptr;
};

inline thread_local constinit CompletionScope* CompletionScope::innermost_ = nullptr;

}  // namespace cofutures::detail
