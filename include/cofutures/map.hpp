#pragma once

#include <cofutures/detail/map_start.hpp>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace cofutures {

/// How Executor::map() goes about its work; each member has a default.
struct MapOptions {
    /// Longest time until the last result, from the call of map(). Default: no limit.
    std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
    /// Items that a worker takes at a time, at least 1. Default: found out by measuring in this
    /// process; for other processes an eighth of a worker's share, where the inputs' sizes are
    /// known, else 1.
    std::optional<int> chunksize = std::nullopt;
    /// The most items that are in flight, read from the inputs and not yet given out, at least 1.
    /// Default: all, read by the call of map().
    std::optional<int> buffersize = std::nullopt;
};

/// The results of Executor::map(), one by one: an input range, and a generator with next().
///
/// @code{.cpp} run
/// cofutures::ThreadPoolExecutor pool;
/// const std::vector<int> numbers{1, 2, 3};
/// for (int square : pool.map([](int n) { return n * n; }, numbers)) {
///     std::cout << square << '\n';
/// }
/// auto halves = pool.map([](int n) { return n / 2.0; }, numbers);
/// while (std::optional<double> half = halves.next()) {
///     std::cout << *half << '\n';
/// }
/// @endcode
///
/// **Errors.** What an item's call throws is thrown where its result would be, by next() or by the
/// iterator; reading can go on after it. With iterators use next(), as a range-for ends there.
///
/// **When a result is there.** When its call has ended. Only of calls that do nothing but compute,
/// and have taken far less than a microsecond each so far, may up to sixteen be handed over
/// together; with MapOptions::timeout not even these.
///
/// **Lifetime.** Destroying or closing it cancels what has not begun, and waits for nothing: calls
/// that run keep the callable, their arguments and their results alive by themselves. The executor
/// may be destroyed before it. Iterators stay with the map when the range is moved, and end with
/// the map when another one is assigned.
///
/// @tparam T       What the calls return; std::monostate for void, std::reference_wrapper for a
///                 reference.
/// @thread_safety  Distinct objects: safe. Shared objects: unsafe.
/// @python         the iterator that Executor.map() returns, as of Python 3.16. Difference:
///                 dropping it cancels what has not begun even if nothing was read from it.
template <class T>
class MapRange {
public:
    using value_type = T;
    class iterator;

    MapRange(MapRange&&) noexcept = default;
    MapRange& operator=(MapRange&&) noexcept = default;
    ~MapRange() = default;

    /// Waits for the next result.
    ///
    /// @returns Nothing at the end, and ever after.
    /// @throws TimeoutError    if it is not there and MapOptions::timeout has passed. What has not
    ///                         begun is cancelled then, and the range is at its end.
    /// @throws CancelledError  if the executor cancelled the item; reading can go on.
    /// @throws DeadlockError   without MapOptions::timeout, if the result can never come: it needs
    ///                         the task that reads, or this is a forked child of the process with
    ///                         the executor's threads. Reading can go on.
    /// @throws BrokenExecutor  if the executor broke before the item was run; reading can go on.
    /// @throws ShutdownError   with MapOptions::buffersize, if more items were to be run after a
    ///                         shutdown; thrown after all results, and the range is at its end.
    /// @throws (the inputs' own)  with MapOptions::buffersize, what an input throws; likewise.
    /// @throws (the call's own)   what the item's call threw; reading can go on.
    /// @complexity  O(1) beside the waiting.
    /// @python  next(iterator).
    std::optional<T> next() {
        std::optional<T> result;
        if (source_ != nullptr) {
            source_->next(result);
        }
        return result;
    }

    /// Cancels what has not begun, and ends the range. Does not wait for what runs.
    ///
    /// @python  generator.close().
    void close() noexcept {
        if (source_ != nullptr) {
            source_->close();
        }
    }

    /// Waits for the first result; to be called once.
    ///
    /// @throws (as next())
    iterator begin() { return iterator(source_.get()); }
    /// The end of the range.
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

private:
    friend class Executor;

    explicit MapRange(std::unique_ptr<detail::MapSource<T>> source) noexcept
        : source_(std::move(source)) {}

    std::unique_ptr<detail::MapSource<T>> source_;  // null when moved from
};

/// Input iterator of a MapRange. It holds the current result, which may be moved from it.
template <class T>
class MapRange<T>::iterator {
public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator(iterator&&) noexcept(std::is_nothrow_move_constructible_v<T>) = default;
    iterator& operator=(iterator&&) noexcept(std::is_nothrow_move_constructible_v<T>&&
                                                 std::is_nothrow_move_assignable_v<T>) = default;
    ~iterator() = default;

    [[nodiscard]] T& operator*() const noexcept { return *current_; }

    /// Waits for the next result, and lets go of the current one first.
    ///
    /// @throws (as MapRange::next())
    iterator& operator++() {
        current_.reset();
        source_->next(current_);
        return *this;
    }
    void operator++(int) { ++*this; }

    friend bool operator==(const iterator& position, std::default_sentinel_t) noexcept {
        return !position.current_;
    }

private:
    friend class MapRange;

    explicit iterator(detail::MapSource<T>* source) : source_(source) {
        if (source_ != nullptr) {
            source_->next(current_);
        }
    }

    detail::MapSource<T>* source_;  // null if there never was anything to read
    mutable std::optional<T> current_;
};

}  // namespace cofutures
