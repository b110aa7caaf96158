#include <cofutures/codec.hpp>

#define BOOST_TEST_MODULE codec
#include "unit/codec_test.hpp"

#include <array>
#include <bitset>
#include <chrono>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <filesystem>
#include <forward_list>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace app {

/// Leaves a variant without a value.
struct Explosive {
    explicit Explosive(int value) { throw value; }
    Explosive(const Explosive&) noexcept {}
    Explosive& operator=(const Explosive&) = delete;
    ~Explosive() = default;
};

class Base {
public:
    virtual ~Base() = default;
};

enum class Flag : bool { off, on };

struct Node {
    int value;
    std::unique_ptr<Node> next;
};

// What cannot cross.
struct WithPointer {
    int number;
    int* pointer;
};
struct WithReference {
    int& number;
};
struct WithConstReference {
    const std::string& text;
    int number;
};
struct WithConst {
    const int number;
};
struct WithArray {
    char name[16];
    int number;
};
struct WithArrayLast {
    std::string name;
    int numbers[2];
};
struct WithBase : Point {
    double z;
};
struct WithEmptyBase : Empty {
    int number;
};
union Either {
    int number;
    float real;
};

}  // namespace app

template <>
struct cofutures::Codec<app::Explosive> {
    static void encode(Encoder&, const app::Explosive&) {}
    static app::Explosive decode(Decoder&) { return app::Explosive(0); }
};

/// For types that the library could encode by itself the user's codec wins too.
template <>
struct cofutures::Codec<std::vector<app::Colour>> {
    static void encode(Encoder& encoder, const std::vector<app::Colour>& value) {
        cofutures::encode(encoder, static_cast<std::uint8_t>(value.size()));
    }
    static std::vector<app::Colour> decode(Decoder& decoder) {
        return std::vector<app::Colour>(cofutures::decode<std::uint8_t>(decoder), app::Colour::red);
    }
};

using namespace cofutures;
using namespace cofutures::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

enum class LocalKind { none, some };

struct Local {
    std::string name;
    LocalKind kind;
    bool operator==(const Local&) const = default;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(codec)

BOOST_AUTO_TEST_CASE(numbers_come_back) {
    const auto limits = []<class... Ts>(std::type_identity<Ts>...) {
        (check_round_trip(std::numeric_limits<Ts>::max()), ...);
        (check_round_trip(std::numeric_limits<Ts>::lowest()), ...);
        (check_round_trip(Ts{}), ...);
    };
    limits(
        std::type_identity<bool>(),
        std::type_identity<char>(),
        std::type_identity<signed char>(),
        std::type_identity<unsigned char>(),
        std::type_identity<wchar_t>(),
        std::type_identity<char8_t>(),
        std::type_identity<char16_t>(),
        std::type_identity<char32_t>(),
        std::type_identity<short>(),
        std::type_identity<unsigned short>(),
        std::type_identity<int>(),
        std::type_identity<unsigned>(),
        std::type_identity<long>(),
        std::type_identity<unsigned long>(),
        std::type_identity<long long>(),
        std::type_identity<unsigned long long>(),
        std::type_identity<float>(),
        std::type_identity<double>(),
        std::type_identity<long double>()
    );
    check_round_trip(-std::numeric_limits<double>::infinity());
    check_round_trip(std::numeric_limits<long double>::denorm_min());
    check_round_trip(nullptr);
}

BOOST_AUTO_TEST_CASE(numbers_are_little_endian_and_fixed_width) {
    BOOST_TEST((encoded(std::uint32_t{0x01020304}) == bytes_of(4, 3, 2, 1)));
    BOOST_TEST((encoded(std::int16_t{-2}) == bytes_of(0xfe, 0xff)));
    BOOST_TEST((encoded(true) == bytes_of(1)));
    BOOST_TEST((encoded("ab"s) == bytes_of(2, 0, 0, 0, 0, 0, 0, 0, 'a', 'b')));
}

BOOST_AUTO_TEST_CASE(a_nan_keeps_its_bits) {
    std::uint64_t bits = 0x7ff8dead0000beef;
    double nan = 0;
    std::memcpy(&nan, &bits, sizeof(nan));
    const double back = decoded<double>(encoded(nan));
    BOOST_TEST(std::memcmp(&back, &nan, sizeof(nan)) == 0);
    const double negative_zero = decoded<double>(encoded(-0.0));
    BOOST_TEST(std::signbit(negative_zero));
}

BOOST_AUTO_TEST_CASE(the_padding_of_a_long_double_is_not_sent) {
    long double one = 1;
    long double other = 1;
    std::memset(&one, 0x55, sizeof(one));
    std::memset(&other, 0xaa, sizeof(other));
    one = 1;
    other = 1;
    BOOST_TEST((encoded(one) == encoded(other)));
}

BOOST_AUTO_TEST_CASE(enums_come_back) {
    check_round_trip(app::Colour::green);
    check_round_trip(static_cast<app::Colour>(77));
    check_round_trip(app::Flag::on);
    check_round_trip(std::byte{0xab});
}

BOOST_AUTO_TEST_CASE(a_bool_is_zero_or_one) {
    BOOST_TEST(error_of<bool>(bytes_of(2)) == "cannot decode bool: neither 0 nor 1");
    BOOST_CHECK_THROW(decoded<app::Flag>(bytes_of(255)), SerializationError);
    BOOST_CHECK_THROW(decoded<std::optional<int>>(bytes_of(3, 0, 0, 0, 0)), SerializationError);
}

BOOST_AUTO_TEST_CASE(strings_come_back) {
    check_round_trip(""s);
    check_round_trip("a\0b"s);
    check_round_trip(std::string(1000, '\xff'));
    check_round_trip(std::wstring(L"w\u00e4\U0001f600"));
    check_round_trip(std::u8string(u8"\u00e4"));
    check_round_trip(std::u16string(u"\u00e4"));
    check_round_trip(std::u32string(U"\U0001f600"));
    check_round_trip(std::filesystem::path("/tmp/a b/\xff"));
    check_round_trip(std::filesystem::path());
}

BOOST_AUTO_TEST_CASE(sequences_come_back) {
    check_round_trip(std::vector<int>());
    check_round_trip(std::vector{1, -2, 3});
    check_round_trip(std::vector{0.5, -1.5});
    check_round_trip(std::vector<unsigned char>{1, 2, 255});
    check_round_trip(std::vector<std::byte>{std::byte{1}, std::byte{255}});
    check_round_trip(std::vector<app::Flag>{app::Flag::on, app::Flag::off});
    check_round_trip(std::vector<long double>{1.5L, -2});
    check_round_trip(std::vector<std::vector<std::string>>{{"a", ""}, {}, {"b"}});
    check_round_trip(std::array<std::uint16_t, 4>{1, 2, 3, 65535});
    check_round_trip(std::array<std::string, 2>{"a", "b"});
    check_round_trip(std::array<app::Celsius, 2>{app::Celsius(1), app::Celsius(2)});
    check_round_trip(std::array<int, 0>());
    check_round_trip(std::array<bool, 2>{true, false});
    check_round_trip(std::deque<std::string>{"a", "b"});
    check_round_trip(std::list{1, 2, 3});
    check_round_trip(std::forward_list<std::string>{"a", "b", "c"});
}

BOOST_AUTO_TEST_CASE(bits_come_back_packed) {
    for (std::size_t size : {0U, 1U, 7U, 8U, 9U, 64U, 77U}) {
        std::vector<bool> bits(size);
        for (std::size_t i = 0; i < size; i += 3) {
            bits[i] = true;
        }
        check_round_trip(bits);
    }
    check_round_trip(std::bitset<0>());
    check_round_trip(std::bitset<11>(0x5a5));
    check_round_trip(std::bitset<64>(0xdeadbeefcafe));
    BOOST_TEST(encoded(std::vector<bool>(16)).size() == 10U);
    BOOST_CHECK_THROW(decoded<std::bitset<3>>(bytes_of(8)), SerializationError);
}

BOOST_AUTO_TEST_CASE(sets_and_maps_come_back) {
    check_round_trip(std::set<int>{3, 1, 2});
    check_round_trip(std::set<std::string, std::greater<>>{"a", "c", "b"});
    check_round_trip(std::multiset<int>{1, 1, 2});
    check_round_trip(std::unordered_set<std::string>{"a", "b", "c"});
    check_round_trip(std::unordered_multiset<int>{1, 1, 2});
    check_round_trip(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
    check_round_trip(std::multimap<int, std::string>{{1, "y"}, {1, "x"}, {2, "z"}});
    check_round_trip(std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}});
    check_round_trip(std::unordered_multimap<int, int>{{1, 2}, {1, 2}, {3, 4}});
}

BOOST_AUTO_TEST_CASE(a_key_that_comes_twice_is_refused) {
    const auto twice = encoded(std::vector{7, 7});
    BOOST_CHECK_THROW(decoded<std::set<int>>(twice), SerializationError);
    BOOST_CHECK_THROW(decoded<std::unordered_set<int>>(twice), SerializationError);
    BOOST_TEST((decoded<std::multiset<int>>(twice).size() == 2U));
    const auto pairs = encoded(std::vector<std::pair<int, int>>{{1, 2}, {1, 3}});
    BOOST_CHECK_THROW((decoded<std::map<int, int>>(pairs)), SerializationError);
    BOOST_CHECK_THROW((decoded<std::unordered_map<int, int>>(pairs)), SerializationError);
}

BOOST_AUTO_TEST_CASE(products_and_sums_come_back) {
    check_round_trip(std::pair(1, "a"s));
    check_round_trip(std::pair<const int, const std::string>(1, "a"));
    check_round_trip(std::tuple<>());
    check_round_trip(std::tuple(1, 2.5, "a"s, std::tuple(true)));
    check_round_trip(std::optional<std::string>("a"));
    check_round_trip(std::optional<std::string>());
    check_round_trip(std::optional<std::optional<int>>(std::in_place));
    using Choice = std::variant<std::monostate, int, std::string, std::vector<double>>;
    check_round_trip(Choice());
    check_round_trip(Choice(1));
    check_round_trip(Choice("a"));
    check_round_trip(Choice(std::vector{1.5}));
    check_round_trip(std::complex<double>(1, -2));
    check_round_trip(std::complex<float>(1, -2));
}

BOOST_AUTO_TEST_CASE(a_variant_index_is_checked) {
    using Choice = std::variant<int, std::string>;
    auto bytes = encoded(Choice(1));
    bytes[0] = std::byte{2};
    BOOST_TEST(error_of<Choice>(bytes).find("no such alternative") != std::string::npos);
    bytes[3] = std::byte{0x80};
    BOOST_CHECK_THROW(decoded<Choice>(bytes), SerializationError);
}

BOOST_AUTO_TEST_CASE(a_valueless_variant_has_no_encoding) {
    std::variant<char, app::Explosive> choice;
    BOOST_CHECK_THROW(choice.emplace<1>(0), int);
    BOOST_REQUIRE(choice.valueless_by_exception());
    BOOST_CHECK_THROW(encoded(choice), SerializationError);
}

BOOST_AUTO_TEST_CASE(times_come_back) {
    check_round_trip(17ms);
    check_round_trip(std::chrono::duration<double, std::ratio<60>>(1.5));
    check_round_trip(std::chrono::steady_clock::now());
    check_round_trip(std::chrono::sys_days(std::chrono::days(20000)));
    const std::chrono::year_month_day date(2024y / 2 / 29);
    check_round_trip(date);
    check_round_trip(date.year());
    check_round_trip(date.month());
    check_round_trip(date.day());
    check_round_trip(std::chrono::year_month_day(-32767y / 200 / 255));  // which is no date
    check_round_trip(std::chrono::weekday(date));
    for (const auto time : {-3723004ms, 3723004ms}) {
        const std::chrono::hh_mm_ss clock(time);
        BOOST_TEST(
            (decoded<std::chrono::hh_mm_ss<std::chrono::milliseconds>>(encoded(clock))
                 .to_duration() == time)
        );
    }
}

BOOST_AUTO_TEST_CASE(pointers_are_copied_deeply) {
    BOOST_TEST(decoded<std::unique_ptr<int>>(encoded(std::unique_ptr<int>())) == nullptr);
    BOOST_TEST(*decoded<std::unique_ptr<int>>(encoded(std::make_unique<int>(7))) == 7);
    BOOST_TEST(
        *decoded<std::shared_ptr<const std::string>>(encoded(std::make_shared<std::string>("a"))) ==
        "a"
    );

    const auto shared = std::make_shared<int>(1);
    const auto two =
        decoded<std::vector<std::shared_ptr<int>>>(encoded(std::vector{shared, shared}));
    BOOST_TEST((two[0] != two[1]));
    BOOST_TEST(*two[1] == 1);
}

BOOST_AUTO_TEST_CASE(move_only_values_travel) {
    std::vector<std::unique_ptr<std::string>> values;
    values.push_back(std::make_unique<std::string>("a"));
    values.push_back(nullptr);
    const auto back = decoded<std::vector<std::unique_ptr<std::string>>>(encoded(values));
    BOOST_TEST(*back.at(0) == "a");
    BOOST_TEST(back.at(1) == nullptr);

    std::map<int, std::unique_ptr<int>> map;
    map[1] = std::make_unique<int>(2);
    BOOST_TEST((*decoded<std::map<int, std::unique_ptr<int>>>(encoded(map)).at(1) == 2));
}

BOOST_AUTO_TEST_CASE(aggregates_come_back) {
    check_round_trip(app::Empty());
    check_round_trip(app::Point{1, 2});
    check_round_trip(app::Shape{
        .name = "a",
        .points = {{1, 2}, {3, 4}},
        .colour = app::Colour::green,
        .rgb = {1, 2, 3},
        .nothing = {},
        .centre = {5, 6},
        .temperature = app::Celsius(36.6),
    });
    check_round_trip(app::Tree{1, {{2, {}}, {3, {{4, {}}}}}});
    const app::Node list{1, std::make_unique<app::Node>(app::Node{2, nullptr})};
    const auto back = decoded<app::Node>(encoded(list));
    BOOST_TEST(back.next->value == 2);
    BOOST_TEST(back.next->next == nullptr);
}

BOOST_AUTO_TEST_CASE(types_without_linkage_come_back) {
    check_round_trip(std::vector{Local{"a", LocalKind::some}, Local{"b", LocalKind::none}});
    struct InFunction {
        int number;
        LocalKind kind;
        bool operator==(const InFunction&) const = default;
    };
    check_round_trip(InFunction{1, LocalKind::some});
}

BOOST_AUTO_TEST_CASE(an_aggregate_takes_no_more_than_its_members) {
    BOOST_TEST(encoded(app::Point{1, 2}).size() == 16U);
    BOOST_TEST(encoded(std::vector<app::Empty>(5)).size() == 8U);
}

BOOST_AUTO_TEST_CASE(a_custom_codec_is_used_wherever_the_type_occurs) {
    check_round_trip(app::Celsius(20));
    check_round_trip(std::vector{app::Celsius(1), app::Celsius(2)});
    check_round_trip(std::optional(app::Celsius(1)));
    check_round_trip(std::vector(3, app::Token::make()));
}

BOOST_AUTO_TEST_CASE(a_custom_codec_wins_over_the_librarys) {
    const std::vector colours(3, app::Colour::red);
    BOOST_TEST((encoded(colours) == bytes_of(3)));
    check_round_trip(std::pair(1, colours));
}

BOOST_AUTO_TEST_CASE(encodable_looks_inside) {
    static_assert(Encodable<int> && Encodable<const int> && Encodable<app::Shape>);
    static_assert(Encodable<app::Tree> && Encodable<app::Node> && Encodable<app::Token>);
    static_assert(Encodable<std::monostate> && Encodable<std::nullptr_t>);
    static_assert(!Encodable<void> && !Encodable<int&> && !Encodable<int*> && !Encodable<int[2]>);
    static_assert(!Encodable<void()> && !Encodable<const char*>);
    static_assert(!Encodable<std::string_view> && !Encodable<std::span<int>>);
    static_assert(!Encodable<std::function<void()>>);
    static_assert(!Encodable<app::WithPointer> && !Encodable<std::vector<app::WithPointer>>);
    static_assert(!Encodable<std::map<int, std::tuple<int, std::optional<app::WithPointer>>>>);
    static_assert(!Encodable<std::shared_ptr<void>> && !Encodable<std::unique_ptr<int[]>>);
    static_assert(!Encodable<std::unique_ptr<int, void (*)(int*)>>);
    static_assert(!Encodable<std::weak_ptr<int>> && !Encodable<std::variant<int, int*>>);
}

BOOST_AUTO_TEST_CASE(what_would_be_sliced_or_dangle_is_not_encodable) {
    static_assert(!Encodable<app::Base> && !Encodable<std::unique_ptr<app::Base>>);
    static_assert(!Encodable<app::WithReference> && !Encodable<app::WithConstReference>);
    static_assert(!Encodable<app::WithConst> && !Encodable<app::Either>);
    static_assert(!Encodable<app::WithArray> && !Encodable<app::WithArrayLast>);
    static_assert(!Encodable<app::WithBase> && !Encodable<app::WithEmptyBase>);
}

BOOST_AUTO_TEST_CASE(an_error_names_the_type_and_the_reason) {
    BOOST_TEST(error_of<int>(bytes_of(1)) == "cannot decode int: 4 bytes needed, 1 left");
    BOOST_TEST(
        error_of<std::vector<int>>(size_of(3)).find(": 3 elements announced, 0 bytes left") !=
        std::string::npos
    );
    BOOST_TEST(error_of<std::vector<int>>(size_of(3)).find("vector<int") != std::string::npos);
    BOOST_TEST(error_of<bool>(bytes_of(0, 0)) == "cannot decode: 1 bytes left over");
}

BOOST_AUTO_TEST_CASE(a_type_has_a_readable_name) {
    BOOST_TEST(detail::type_name<int>() == "int");
    BOOST_TEST(detail::type_name<app::Point>() == "app::Point");
    BOOST_TEST((detail::type_name<std::pair<int, double>>() == "std::pair<int, double>"));
}

BOOST_AUTO_TEST_CASE(an_encoder_appends) {
    Bytes bytes = bytes_of(9);
    Encoder encoder(bytes);
    encode(encoder, std::uint8_t{1});
    encoder.write(bytes_of(2, 3));
    BOOST_TEST(encoder.size() == 4U);
    BOOST_TEST((bytes == bytes_of(9, 1, 2, 3)));
}

BOOST_AUTO_TEST_SUITE_END()
