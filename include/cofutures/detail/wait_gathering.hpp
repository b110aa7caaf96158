#pragma once

#include <cofutures/future.hpp>
#include <cofutures/detail/state.hpp>
#include <cofutures/detail/wait_set.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace cofutures::detail {

/// Future of U that ends when several others have reached a goal.
///
/// State and set in one object, which holds a handle on each input: the values stay where they are
/// until all are there, and are moved if nobody else can read them. Who ends its pending phase owns
/// the inputs. With the goal `first_failure` a failure goes to the result in place of a value.
///
/// @tparam Collect  Callable as `collect(inputs, deciding_index)`: makes the U.
template <class U, class Inputs, class Collect>
class Gathering final : public State<U>, private WaitGoal {
public:
    static Future<U>
    start(std::span<StateBase* const> states, Goal goal, Inputs inputs, Collect collect) {
        auto* gathering = new Gathering(states, goal, std::move(inputs), std::move(collect));
        auto future = FutureAccess::make_first(*gathering);
        gathering->join();
        return future;
    }

private:
    Gathering(std::span<StateBase* const> states, Goal goal, Inputs inputs, Collect collect)
        : WaitGoal(states, Waiter::Role::operation, goal),
          inputs_(std::move(inputs)),
          collect_(std::move(collect)) {}

    [[nodiscard]] Dependencies dependencies(std::size_t most) override {
        Dependencies needed;
        this->read_while_pending([&] { needed = this->needs(most); });
        return needed;
    }

    void hold() noexcept override { this->add_reference(); }
    void release() noexcept override { this->release_reference(); }

    void reached(std::size_t deciding_index) noexcept override {
        if (!this->try_claim()) {
            return;  // the result was cancelled
        }
        this->wait_for_readers();
        this->leave();
        const StateBase* failure = first_failure();
        const bool cancelled = failure != nullptr && failure->cancelled();
        std::exception_ptr error;
        if (failure == nullptr) {
            try {
                this->store_result_of([&] { return collect_(*inputs_, deciding_index); });
            } catch (...) {
                error = std::current_exception();
            }
        } else if (!cancelled) {
            error = failure->error();
        }
        inputs_.reset();
        if (cancelled) {
            this->finish_continuation_cancelled();
        } else if (error) {
            this->finish_continuation_with_error(std::move(error));
        } else {
            this->finish_continuation_with_value();
        }
    }

    void destroy_work() noexcept override {
        this->wait_for_readers();
        this->leave();
        inputs_.reset();
    }

    std::optional<Inputs> inputs_;  // the pending phase's owner's
    [[no_unique_address]] Collect collect_;
};

/// What stands for a T among several values.
template <class T>
struct GatheredValue {
    using type = T;
};
template <class T>
struct GatheredValue<T&> {
    using type = std::reference_wrapper<T>;
};
template <>
struct GatheredValue<void> {
    using type = std::monostate;
};
template <class T>
using Gathered = typename GatheredValue<T>::type;

/// Takes the value of a done future, and the handle, so that a duplicate finds itself the last.
template <class T>
Gathered<T> take_value(Future<T> future) {
    if constexpr (std::is_void_v<T>) {
        return {};
    } else {
        return std::move(future).result();
    }
}

template <class T>
struct GatheredRange {
    using type = std::vector<Gathered<T>>;
};
template <>
struct GatheredRange<void> {
    using type = void;
};

struct CollectRange {
    template <class T>
    auto operator()(std::vector<Future<T>>& futures, std::size_t /*deciding_index*/) const ->
        typename GatheredRange<T>::type {
        if constexpr (!std::is_void_v<T>) {
            std::vector<Gathered<T>> values;
            values.reserve(futures.size());
            for (Future<T>& future : futures) {
                values.push_back(take_value(std::move(future)));
            }
            return values;
        }
    }
};

struct CollectTuple {
    template <class... T>
    std::tuple<Gathered<T>...>
    operator()(std::tuple<Future<T>...>& futures, std::size_t /*deciding_index*/) const {
        return std::apply(
            [](Future<T>&... future) {
                return std::tuple<Gathered<T>...>{take_value(std::move(future))...};
            },
            futures
        );
    }
};

struct PickDeciding {
    template <class F>
    F operator()(std::vector<F>& futures, std::size_t deciding_index) const {
        return std::move(futures[deciding_index]);
    }
};

}  // namespace cofutures::detail
