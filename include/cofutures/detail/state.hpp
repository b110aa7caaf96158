#pragma once

#include <cofutures/detail/is_copyable.hpp>
#include <cofutures/detail/state_base.hpp>

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// The T of the Future<T> that a call returning R gives: references stay, other values decay.
template <class R>
using FutureValue = std::conditional_t<std::is_lvalue_reference_v<R>, R, std::remove_cvref_t<R>>;

/// Keeps a value alive while foreign code reads it in a callback, which owns no handle.
class ReadGuard {
public:
    explicit ReadGuard(StateBase& state) noexcept : state_(state) { state_.add_handle(); }
    ReadGuard(const ReadGuard&) = delete;
    ReadGuard& operator=(const ReadGuard&) = delete;
    ~ReadGuard() { state_.release_handle(); }

private:
    StateBase& state_;
};

/// The shared state of a future of T: StateBase and room for the value.
///
/// Promises use it as it is; tasks and continuations derive from it and add their callable, so that
/// state, callable and result are one allocation.
template <class T>
class State : public StateBase {
    static_assert(
        std::is_move_constructible_v<T>, "a future's value is moved to its reader: make it movable"
    );

public:
    State() noexcept : StateBase(std::is_trivially_destructible_v<T>) {}

    /// Stores the value and ends the future. The caller claimed it, or began its completion.
    ///
    /// @throws (the constructor's own)  The future is then still to be ended, with an error.
    template <class... Args>
    void finish(Args&&... args) {
        std::construct_at(std::addressof(value_), std::forward<Args>(args)...);
        finish_with_value();
    }

    /// The value, staying where it is. Throws what the future holds instead.
    const T& value() const {
        throw_unless_returned();
        if (consumed()) {
            throw_consumed();
        }
        return value_;
    }

    /// Whether the caller is all that can still read the value.
    ///
    /// @param in_callback  The caller is a callback that is being told, and owns no handle.
    [[nodiscard]] bool has_sole_reader(bool in_callback) const noexcept {
        return in_callback ? this->read_by_last_callback() : this->read_by_one_handle();
    }

    /// The value for one reader: moved out if nobody else can read it, or if it can only be moved;
    /// else copied. Throws what the future holds instead.
    T take(bool in_callback = false) {
        throw_unless_returned();
        if constexpr (std::is_trivially_copyable_v<T> && is_copyable<T>) {
            return value();  // moving is copying: the value may as well stay
        } else if constexpr (is_copyable<T>) {
            if (!has_sole_reader(in_callback)) {
                const ReadGuard guard(*this);
                return value();
            }
        }
        if (!consume()) {
            throw_consumed();
        }
        const ValueGuard guard{*this};
        return std::move(value_);
    }

protected:
    ~State() override {
        if (phase() == Phase::returned && !consumed()) {
            std::destroy_at(std::addressof(value_));
        }
    }

    /// Stores what `call` returns, in place; the future is still to be ended.
    template <class Call>
    void store_result_of(Call&& call) {
        ::new (static_cast<void*>(std::addressof(value_))) T(std::forward<Call>(call)());
    }

private:
    struct ValueGuard {
        State& state;
        ~ValueGuard() { std::destroy_at(std::addressof(state.value_)); }
    };

    void destroy_value() noexcept final { std::destroy_at(std::addressof(value_)); }

    union {
        T value_;  // alive from `returned` until consumed
    };
};

/// A future of a reference keeps a pointer; reading it takes nothing away.
template <class T>
class State<T&> : public StateBase {
public:
    State() noexcept : StateBase(true) {}

    void finish(T& value) noexcept {
        value_ = std::addressof(value);
        finish_with_value();
    }

    T& value() const {
        throw_unless_returned();
        return *value_;
    }
    T& take(bool /*in_callback*/ = false) const { return value(); }

protected:
    template <class Call>
    void store_result_of(Call&& call) {
        value_ = std::addressof(static_cast<T&>(std::forward<Call>(call)()));
    }

private:
    T* value_ = nullptr;
};

template <>
class State<void> : public StateBase {
public:
    State() noexcept : StateBase(true) {}

    void finish() noexcept { finish_with_value(); }

    void value() const { throw_unless_returned(); }
    void take(bool /*in_callback*/ = false) const { value(); }

protected:
    template <class Call>
    void store_result_of(Call&& call) {
        std::forward<Call>(call)();
    }
};

}  // namespace cofutures::detail
