#pragma once

#include <cofutures/detail/codec_stream.hpp>
#include <cofutures/detail/codec_trait.hpp>

#include <chrono>
#include <cstddef>

namespace cofutures::detail {

template <class Rep, class Period>
struct BuiltinCodec<std::chrono::duration<Rep, Period>> {
    using Duration = std::chrono::duration<Rep, Period>;
    using parts = Types<Rep>;

    static consteval std::size_t min_size() { return detail::min_size<Rep>(); }

    static void encode(Encoder& encoder, const Duration& value) {
        cofutures::encode(encoder, value.count());
    }
    static Duration decode(Decoder& decoder) { return Duration(cofutures::decode<Rep>(decoder)); }
};

/// A point of the steady clock means the same in another process of this machine only.
template <class Clock, class Duration>
struct BuiltinCodec<std::chrono::time_point<Clock, Duration>> {
    using TimePoint = std::chrono::time_point<Clock, Duration>;
    using parts = Types<Duration>;

    static consteval std::size_t min_size() { return detail::min_size<Duration>(); }

    static void encode(Encoder& encoder, const TimePoint& value) {
        cofutures::encode(encoder, value.time_since_epoch());
    }
    static TimePoint decode(Decoder& decoder) {
        return TimePoint(cofutures::decode<Duration>(decoder));
    }
};

}  // namespace cofutures::detail
