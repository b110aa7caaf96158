#pragma once

#include <cofutures/detail/map_slot.hpp>
#include <cofutures/detail/task.hpp>

#include <exception>
#include <functional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// The callable of a map in this process, called by several threads at once.
template <class Value, class Fn, class... Args>
class MapCall {
public:
    using Arguments = std::tuple<Args...>;

    template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, MapCall>)
        // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): the line above says which
        explicit MapCall(F&& fn)
        : fn_(std::forward<F>(fn)) {}

    /// Calls it with the arguments that a cell holds, which holds the value then; nothing if this
    /// throws.
    template <class Cell>
    void operator()(Cell& cell) {
        auto arguments = cell.take_arguments();
        cell.store_result_of([&]() -> Value { return call(arguments); });
    }

    /// Asks calls that take a std::stop_token to stop.
    void request_stop() noexcept {
        if constexpr (with_token) {
            stop_.request_stop();
        }
    }

private:
    static constexpr bool with_token = takes_stop_token<const Fn&, Args...>;
    struct NoToken {};

    Value call(Arguments& arguments) {
        return std::apply(
            [this](Args&... args) -> Value {
                const auto invoke = [&]() -> decltype(auto) {
                    if constexpr (with_token) {
                        return std::invoke(fn_, stop_.get_token(), std::move(args)...);
                    } else {
                        return std::invoke(fn_, std::move(args)...);
                    }
                };
                if constexpr (std::is_void_v<decltype(invoke())>) {
                    invoke();
                    return {};
                } else {
                    return Value(invoke());
                }
            },
            arguments
        );
    }

    const Fn fn_;
    [[no_unique_address]] std::conditional_t<with_token, std::stop_source, NoToken> stop_;
};

}  // namespace cofutures::detail
