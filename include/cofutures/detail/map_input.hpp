#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <utility>

namespace cofutures::detail {

/// How an input is kept: a container that was passed as an lvalue by reference, anything else by
/// value.
template <class Range>
using KeptRange = std::conditional_t<
    std::ranges::view<std::remove_cvref_t<Range>> &&
        std::is_constructible_v<std::remove_cvref_t<Range>, Range>,
    std::remove_cvref_t<Range>,
    Range>;

/// One input of a map.
///
/// The iterator is advanced when the next element is wanted and not before, so that an input that
/// makes its elements makes none that nobody asked for. It does not move: the iterator may point
/// into the object.
template <class Range>
class MapInput {
public:
    explicit MapInput(Range&& range)
        : range_(std::forward<Range>(range)),
          position_(std::ranges::begin(range_)),
          end_(std::ranges::end(range_)) {}
    MapInput(const MapInput&) = delete;
    MapInput& operator=(const MapInput&) = delete;

    /// How many elements there are, if that is known.
    [[nodiscard]] std::optional<std::size_t> size() {
        if constexpr (std::ranges::sized_range<Kept>) {
            return static_cast<std::size_t>(std::ranges::size(range_));
        } else {
            return std::nullopt;
        }
    }

    /// Goes to the next element; false at the end.
    bool advance() {
        if (begun_) {
            ++position_;
        }
        begun_ = true;
        return position_ != end_;
    }

    /// The element: moved out of a container that is this object's own.
    decltype(auto) get() { return get_from(position_); }

    /// Whether elements can be counted before they are read: by left(), next(), get_at() and
    /// skip(), unless advance() has come to the end.
    static constexpr bool counts = std::ranges::random_access_range<KeptRange<Range>> &&
                                   std::sized_sentinel_for<
                                       std::ranges::sentinel_t<KeptRange<Range>>,
                                       std::ranges::iterator_t<KeptRange<Range>>>;

    [[nodiscard]] std::size_t left() const {
        return static_cast<std::size_t>(end_ - position_) - (begun_ ? 1 : 0);
    }
    /// Where the next element is, of which there is one.
    [[nodiscard]] auto next() const {
        auto position = position_;
        if (begun_) {
            ++position;
        }
        return position;
    }
    /// Goes to the last one of so many elements, at least one.
    void skip(std::size_t count) {
        position_ += static_cast<Difference>(begun_ ? count : count - 1);
        begun_ = true;
    }

    /// As get(), of the element so far from there.
    static decltype(auto)
    get_at(const std::ranges::iterator_t<KeptRange<Range>>& position, std::size_t distance) {
        return get_from(position + static_cast<Difference>(distance));
    }

private:
    using Kept = KeptRange<Range>;
    using Difference = std::ranges::range_difference_t<Kept>;

    static decltype(auto) get_from(const std::ranges::iterator_t<Kept>& position) {
        if constexpr (owns_elements) {
            return std::ranges::iter_move(position);
        } else {
            return *position;
        }
    }

    static constexpr bool owns_elements = !std::is_reference_v<Range> &&
                                          !std::ranges::view<Range> &&
                                          !std::ranges::borrowed_range<Range>;

    Kept range_;
    std::ranges::iterator_t<Kept> position_;
    std::ranges::sentinel_t<Kept> end_;
    bool begun_ = false;
};

/// The inputs of a map side by side; the shortest ends them all.
template <class... Ranges>
class MapInputs {
public:
    explicit MapInputs(Ranges&&... ranges) : inputs_(std::forward<Ranges>(ranges)...) {}

    /// How many items there are, if all inputs say how many they have.
    [[nodiscard]] std::optional<std::size_t> size() {
        return std::apply(
            [](auto&... input) -> std::optional<std::size_t> {
                std::optional<std::size_t> least = static_cast<std::size_t>(-1);
                const auto take = [&](std::optional<std::size_t> size) {
                    least = least && size ? std::optional(std::min(*least, *size)) : std::nullopt;
                };
                (take(input.size()), ...);
                return least;
            },
            inputs_
        );
    }

    /// Goes to the next item; false at the end, where it must not be called again.
    bool advance() {
        return std::apply([](auto&... input) { return (input.advance() && ...); }, inputs_);
    }

    /// Makes the item's arguments in a slot.
    template <class Arguments>
    void get(Arguments* place) {
        std::apply([place](auto&... input) { make_at(place, input.get()...); }, inputs_);
    }

    /// Makes the arguments of the next items, so many if there are, at `place(i)`. Not after
    /// the end.
    ///
    /// @param made  Counts them from 0 on, also until this throws what an input throws.
    template <class Place>
    void get_some(std::size_t wanted, std::size_t& made, Place place) {
        if constexpr ((MapInput<Ranges>::counts && ...)) {
            std::apply(
                [&](auto&... input) {
                    const std::size_t count = std::min({wanted, input.left()...});
                    if (count == 0) {
                        return;
                    }
                    // Positions of its own, which need not be in memory after each item.
                    [&](auto... next) {
                        for (; made != count; ++made) {
                            make_at(place(made), MapInput<Ranges>::get_at(next, made)...);
                        }
                    }(input.next()...);
                    (input.skip(count), ...);
                },
                inputs_
            );
        } else {
            for (; made != wanted && advance(); ++made) {
                get(place(made));
            }
        }
    }

private:
    template <class Arguments, class... Elements>
    static void make_at(Arguments* place, Elements&&... elements) {
        ::new (static_cast<void*>(place)) Arguments(std::forward<Elements>(elements)...);
    }

    std::tuple<MapInput<Ranges>...> inputs_;
};

}  // namespace cofutures::detail
