#pragma once

#include <cofutures/detail/state_base.hpp>

namespace cofutures::detail {

/// Runs the callbacks of a future that has just ended, and those of the continuations that end in
/// turn, one after the other: a chain of any length needs no more stack than one link.
///
/// A continuation that ends on this thread leaves its callbacks to the innermost scope. Before the
/// thread blocks, and before the scope ends, all that was left to it has run.
class CompletionScope {
public:
    CompletionScope() noexcept : outer_(innermost_) { innermost_ = this; }
    CompletionScope(const CompletionScope&) = delete;
    CompletionScope& operator=(const CompletionScope&) = delete;
    ~CompletionScope() {
        drain();
        innermost_ = outer_;
    }

    /// The scope that the calling thread is in; null outside of any.
    static CompletionScope* innermost() noexcept { return innermost_; }

    /// Runs the callbacks that were left to this scope and to those around it.
    static void drain_all() noexcept {
        for (CompletionScope* scope = innermost_; scope != nullptr; scope = scope->outer_) {
            scope->drain();
        }
    }

    /// Leaves the callbacks of a done state to this scope.
    void defer(StateBase& state) noexcept {
        state.add_reference();
        state.next_in_queue = nullptr;
        (last_ == nullptr ? first_ : last_->next_in_queue) = &state;
        last_ = &state;
    }

private:
    void drain() noexcept {
        while (first_ != nullptr) {
            const StatePtr state(first_, false);
            first_ = state->next_in_queue;
            if (first_ == nullptr) {
                last_ = nullptr;
            }
            state->finish_callbacks();
        }
    }

    static thread_local constinit CompletionScope* innermost_;

    CompletionScope* const outer_;
    StateBase* first_ = nullptr;
    StateBase* last_ = nullptr;
};

inline thread_local constinit CompletionScope* CompletionScope::innermost_ = nullptr;

}  // namespace cofutures::detail
