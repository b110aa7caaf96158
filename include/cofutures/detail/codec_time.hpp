#pragma once

#include <cofutures/detail/codec_scalar.hpp>
#include <cofutures/detail/codec_stream.hpp>
#include <cofutures/detail/codec_trait.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

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

/// A date's part is encoded as the number that it is made of, valid or not.
template <class T, class Number>
struct NumberedCodec {
    using parts = Types<Number>;

    static consteval std::size_t min_size() { return detail::min_size<Number>(); }

    static void encode(Encoder& encoder, const T& value) {
        cofutures::encode(encoder, static_cast<Number>(number_of(value)));
    }
    static T decode(Decoder& decoder) { return T(cofutures::decode<Number>(decoder)); }

private:
    static int number_of(std::chrono::year value) { return static_cast<int>(value); }
    static unsigned number_of(std::chrono::month value) { return static_cast<unsigned>(value); }
    static unsigned number_of(std::chrono::day value) { return static_cast<unsigned>(value); }
    static unsigned number_of(std::chrono::weekday value) { return value.c_encoding(); }
};

template <>
struct BuiltinCodec<std::chrono::year> : NumberedCodec<std::chrono::year, std::int16_t> {};
template <>
struct BuiltinCodec<std::chrono::month> : NumberedCodec<std::chrono::month, std::uint8_t> {};
template <>
struct BuiltinCodec<std::chrono::day> : NumberedCodec<std::chrono::day, std::uint8_t> {};
template <>
struct BuiltinCodec<std::chrono::weekday> : NumberedCodec<std::chrono::weekday, std::uint8_t> {};

template <>
struct BuiltinCodec<std::chrono::year_month_day> {
    using Date = std::chrono::year_month_day;
    using parts = Types<std::chrono::year, std::chrono::month, std::chrono::day>;

    static consteval std::size_t min_size() {
        return detail::min_size<std::chrono::year>() + detail::min_size<std::chrono::month>() +
               detail::min_size<std::chrono::day>();
    }

    static void encode(Encoder& encoder, const Date& value) {
        cofutures::encode(encoder, value.year());
        cofutures::encode(encoder, value.month());
        cofutures::encode(encoder, value.day());
    }
    static Date decode(Decoder& decoder) {
        const auto year = cofutures::decode<std::chrono::year>(decoder);
        const auto month = cofutures::decode<std::chrono::month>(decoder);
        return Date(year, month, cofutures::decode<std::chrono::day>(decoder));
    }
};

template <class Duration>
struct BuiltinCodec<std::chrono::hh_mm_ss<Duration>> {
    using Time = std::chrono::hh_mm_ss<Duration>;
    using Precision = typename Time::precision;
    using parts = Types<Precision>;

    static consteval std::size_t min_size() { return detail::min_size<Precision>(); }

    static void encode(Encoder& encoder, const Time& value) {
        cofutures::encode(encoder, value.to_duration());
    }
    static Time decode(Decoder& decoder) {
        return Time(std::chrono::duration_cast<Duration>(cofutures::decode<Precision>(decoder)));
    }
};

}  // namespace cofutures::detail
