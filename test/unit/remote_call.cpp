#include <cofutures/detail/remote_call.hpp>

#define BOOST_TEST_MODULE remote_call
#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using cofutures::Decoder;
using cofutures::Encoder;
using cofutures::SerializationError;
using cofutures::UnknownTaskError;
using cofutures::detail::RemoteCall;
using cofutures::detail::RemoteConstantCall;
using cofutures::detail::RemoteIssue;
using cofutures::detail::TaskDescriptor;

namespace {

using Bytes = std::vector<std::byte>;

Bytes run(const TaskDescriptor& descriptor, std::uintptr_t function, const Bytes& arguments) {
    Bytes bytes;
    Decoder decoder(arguments);
    Encoder encoder(bytes);
    descriptor.thunk(function, decoder, encoder);
    return bytes;
}

template <class Result>
Result decode_all(const Bytes& bytes) {
    Decoder decoder(bytes);
    if constexpr (std::is_void_v<Result>) {
        decoder.expect_end();
    } else {
        Result result = cofutures::decode<Result>(decoder);
        decoder.expect_end();
        return result;
    }
}

template <class Call, class F, class... Args>
typename Call::result_type through_wire(const F& callable, Args... args) {
    Bytes arguments;
    Encoder encoder(arguments);
    Call::encode_arguments(encoder, args...);
    return decode_all<typename Call::result_type>(
        run(Call::descriptor(), Call::function(callable), arguments)
    );
}

template <class F, class... Args>
using CallOf = RemoteCall<std::decay_t<F>, std::decay_t<Args>...>;

// Both halves of a submitted call, in one process.
template <class F, class... Args>
auto call(const F& callable, Args&&... args) {
    using Call = CallOf<const F&, Args...>;
    Call::require_remotable();
    return through_wire<Call>(std::decay_t<const F&>(callable), std::decay_t<Args>(args)...);
}
template <auto Fn, class... Args>
auto call_constant(Args&&... args) {
    using Call = RemoteConstantCall<Fn, std::decay_t<Args>...>;
    Call::require_remotable();
    return through_wire<Call>(Fn, std::decay_t<Args>(std::forward<Args>(args))...);
}

template <class F, class... Args>
constexpr RemoteIssue issue(const F& /*callable*/, const Args&... /*args*/) {
    return CallOf<const F&, const Args&...>::issue;
}

struct NoCodec {
    explicit NoCodec(int*) {}
    int* pointer = nullptr;
};

struct Point {
    int x = 0;
    int y = 0;
    friend bool operator==(const Point&, const Point&) = default;
};

long add(long a, long b) noexcept {
    return a + b;
}
long subtract(long a, long b) {
    return a - b;
}
std::string repeat(const std::string& text, std::size_t times) {
    std::string result;
    for (; times != 0; --times) {
        result += text;
    }
    return result;
}
void nothing() {}
const Point& larger(const Point& a, const Point& b) {
    return a.x < b.x ? b : a;
}
void fail(const std::string& text) {
    throw std::domain_error(text);
}

struct Calculator {
    static int twice(int x) { return 2 * x; }
    int offset = 0;
    [[nodiscard]] int plus(int x) const { return offset + x; }
};

struct OnConst {
    int operator()(int x) const noexcept { return x + 1; }
};
struct OnLvalue {
    int operator()(int x) & { return x + 2; }
};
struct OnRvalue {
    int operator()(int x) && { return x + 3; }
};
struct Overloaded {
    std::string operator()(int) const { return "int"; }
    std::string operator()(double) const { return "double"; }
    std::string operator()(const std::string&) const { return "string"; }
};

}  // namespace

template <>
struct cofutures::Codec<Calculator> {
    static void encode(Encoder& encoder, const Calculator& value) {
        cofutures::encode(encoder, value.offset);
    }
    static Calculator decode(Decoder& decoder) { return {cofutures::decode<int>(decoder)}; }
};

BOOST_AUTO_TEST_SUITE(remote_call)

BOOST_AUTO_TEST_CASE(functions_are_called_through_their_address) {
    BOOST_TEST(call(add, 2L, 3L) == 5);
    BOOST_TEST(call(&subtract, 2L, 3L) == -1);
    BOOST_TEST(call(&Calculator::twice, 4) == 8);
    BOOST_TEST(call(&repeat, std::string("ab"), std::size_t{2}) == "abab");
    call(&nothing);
}

BOOST_AUTO_TEST_CASE(functions_of_one_type_share_a_descriptor) {
    using Noexcept = CallOf<decltype(add), long, long>;
    using Plain = CallOf<decltype(subtract), long, long>;
    BOOST_TEST(&Plain::descriptor() != &Noexcept::descriptor());
    BOOST_TEST((&Plain::descriptor() == &CallOf<long (*)(long, long), int, short>::descriptor()));
    BOOST_TEST(Plain::function(&subtract) == reinterpret_cast<std::uintptr_t>(&subtract));
}

BOOST_AUTO_TEST_CASE(a_null_function_pointer_is_an_unknown_task) {
    long (*null)(long, long) = nullptr;
    BOOST_CHECK_THROW(call(null, 1L, 2L), UnknownTaskError);
}

BOOST_AUTO_TEST_CASE(constants_are_called_without_an_address) {
    BOOST_TEST(call_constant<&add>(2, 3) == 5);
    BOOST_TEST((call_constant<&Calculator::plus>(Calculator{10}, 3)) == 13);
    BOOST_TEST((call_constant<[](int x) {
                   return x + 1;
               }>(3)) == 4);
    BOOST_TEST((RemoteConstantCall<&add, long, long>::function(&add)) == 0U);
}

BOOST_AUTO_TEST_CASE(lambdas_and_functors_are_made_anew) {
    BOOST_TEST(call([] { return 42; }) == 42);
    BOOST_TEST(call([](int a, int b) noexcept { return a * b; }, 6, 7) == 42);
    BOOST_TEST(call([](int x) mutable { return ++x; }, 1) == 2);
    BOOST_TEST(call(std::plus<>(), 1.5, 2) == 3.5);
    BOOST_TEST(call(OnConst(), 1) == 2);
    BOOST_TEST(call(OnLvalue(), 1) == 3);
    BOOST_TEST(call(OnRvalue(), 1) == 4);
}

BOOST_AUTO_TEST_CASE(each_callable_has_a_descriptor_of_its_own) {
    const auto one = [](int x) {
        return x + 1;
    };
    const auto two = [](int x) {
        return x + 2;
    };
    BOOST_TEST(
        (&CallOf<decltype(one), int>::descriptor() != &CallOf<decltype(two), int>::descriptor())
    );
    BOOST_TEST(call(one, 1) == 2);
    BOOST_TEST(call(two, 1) == 3);
    BOOST_TEST(
        (RemoteConstantCall<&add, long, long>::descriptor().check) !=
        (RemoteConstantCall<&subtract, long, long>::descriptor().check)
    );
}

BOOST_AUTO_TEST_CASE(a_descriptor_says_what_it_is) {
    const auto& constant = RemoteConstantCall<&Calculator::twice, int>::descriptor();
    BOOST_TEST(constant.magic == cofutures::detail::task_magic);
    BOOST_TEST(std::string_view(constant.name).ends_with("twice"));
    const auto& functor = CallOf<Overloaded, int>::descriptor();
    BOOST_TEST(std::string_view(functor.name).ends_with("Overloaded"));
}

BOOST_AUTO_TEST_CASE(the_check_covers_what_travels) {
    BOOST_TEST(
        (CallOf<Overloaded, int>::descriptor().check) !=
        (CallOf<Overloaded, double>::descriptor().check)
    );
}

BOOST_AUTO_TEST_CASE(arguments_are_converted_to_the_parameters) {
    BOOST_TEST(call([](std::string s) { return s.size(); }, "abc") == 3U);
    BOOST_TEST(call([](const std::string& s) { return s + "!"; }, "abc") == "abc!");
    BOOST_TEST(call(add, 2, short{3}) == 5);
    BOOST_TEST(call([](double x) { return x / 2; }, 3) == 1.5);
    BOOST_TEST(call([](std::optional<int> x) { return x.value_or(0); }, 3) == 3);
    BOOST_TEST(
        call([](const std::string& s) { return s; }, std::string(1000, 'x')).size() == 1000U
    );
    const Point point{1, 2};
    BOOST_TEST(call([](const Point& p) { return p.y; }, std::cref(point)) == 2);
}

BOOST_AUTO_TEST_CASE(defaults_of_parameters_hold) {
    BOOST_TEST(call([](int a, int b = 10) { return a + b; }, 1) == 11);
}

BOOST_AUTO_TEST_CASE(views_travel_as_what_they_view) {
    BOOST_TEST(call([](std::string_view s) { return s.size(); }, "abc") == 3U);
    BOOST_TEST(call([](std::string_view s) { return s.size(); }, std::string("abcd")) == 4U);
    BOOST_TEST(
        call([](const std::string_view& s) { return s.size(); }, std::string_view("ab")) == 2U
    );
    BOOST_TEST(call([](const char* s) { return std::string(s); }, "abc") == "abc");
    const auto sum = [](std::span<const int> numbers) {
        return std::accumulate(numbers.begin(), numbers.end(), 0);
    };
    const std::vector<int> numbers{1, 2, 3};
    BOOST_TEST(call(sum, numbers) == 6);
    BOOST_TEST(call(sum, std::span<const int>(numbers)) == 6);
}

BOOST_AUTO_TEST_CASE(a_null_text_is_refused_when_encoded) {
    const char* null = nullptr;
    BOOST_CHECK_THROW(call([](const char*) {}, null), SerializationError);
    BOOST_CHECK_THROW(call([](auto) {}, null), SerializationError);
}

BOOST_AUTO_TEST_CASE(generic_callables_get_the_types_of_the_arguments) {
    const auto which = [](auto x) {
        return std::is_same_v<decltype(x), const char*>;
    };
    BOOST_TEST(call(which, "abc"));
    BOOST_TEST(!call(which, std::string("abc")));
    BOOST_TEST(call([](auto... xs) { return sizeof...(xs); }, 1, 2.0, "three") == 3U);
    BOOST_TEST(call([](auto x, auto... xs) { return (x + ... + xs); }, 1, 2) == 3);
    BOOST_TEST(call(Overloaded(), 1) == "int");
    BOOST_TEST(call(Overloaded(), 1.0) == "double");
    BOOST_TEST(call(Overloaded(), "one") == "string");
}

BOOST_AUTO_TEST_CASE(parameters_may_be_moved_from_and_move_only) {
    BOOST_TEST(call([](std::string&& s) { return std::string(std::move(s)); }, "abc") == "abc");
    const auto take = [](std::unique_ptr<int> p) {
        return *p;
    };
    using Call = CallOf<decltype(take), std::unique_ptr<int>>;
    BOOST_TEST(through_wire<Call>(take, std::make_unique<int>(7)) == 7);
    const auto give = [](int x) {
        return std::make_unique<int>(x);
    };
    BOOST_TEST(*call(give, 8) == 8);
}

BOOST_AUTO_TEST_CASE(a_result_that_refers_to_an_argument_is_copied_in_time) {
    BOOST_TEST((call(&larger, Point{1, 2}, Point{3, 4}) == Point{3, 4}));
    const auto first = [](std::vector<std::string>&& words) -> std::string& {
        return words.front();
    };
    BOOST_TEST(call(first, std::vector<std::string>{"one", "two"}) == "one");
}

BOOST_AUTO_TEST_CASE(a_derived_object_is_not_sliced) {
    struct Base {
        int number = 1;
    };
    struct Derived : Base {};
    // Nothing here can send a Derived, so there is no call, instead of one with another object.
    BOOST_TEST(
        (issue([](const Base& b) { return b.number; }, Derived()) ==
         RemoteIssue::argument_without_codec)
    );
}

BOOST_AUTO_TEST_CASE(what_the_task_throws_comes_through) {
    BOOST_CHECK_THROW(call(&fail, "no"), std::domain_error);
}

BOOST_AUTO_TEST_CASE(arguments_must_be_neither_too_short_nor_too_long) {
    using Call = CallOf<decltype(add), long, long>;
    BOOST_CHECK_THROW(run(Call::descriptor(), Call::function(&add), Bytes(15)), SerializationError);
    BOOST_CHECK_THROW(run(Call::descriptor(), Call::function(&add), Bytes(17)), SerializationError);
    BOOST_TEST(run(Call::descriptor(), Call::function(&add), Bytes(16)).size() == 8U);
}

BOOST_AUTO_TEST_CASE(arguments_are_gone_when_the_call_returns) {
    const auto observe = [](const std::shared_ptr<int>& p) {
        return p.use_count();
    };
    const auto number = std::make_shared<int>(1);
    BOOST_TEST(call(observe, number) == 1);
    BOOST_TEST(number.use_count() == 1);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_sent_is_told_without_a_compile_error) {
    int captured = 1;
    const auto capturing = [captured] {
        return captured;
    };
    BOOST_TEST((issue(capturing) == RemoteIssue::callable_with_state));
    BOOST_TEST(
        (issue([&captured](auto x) { return captured + x; }, 1) == RemoteIssue::callable_with_state)
    );
    BOOST_TEST((issue(std::function<int()>(capturing)) == RemoteIssue::callable_with_state));
    BOOST_TEST((issue(&Calculator::plus, Calculator(), 1) == RemoteIssue::callable_with_state));
    BOOST_TEST((issue(&Calculator::offset, Calculator()) == RemoteIssue::callable_with_state));
    BOOST_TEST((issue([](std::stop_token, int) {}, 1) == RemoteIssue::wants_stop_token));
    BOOST_TEST((issue([](NoCodec) {}, NoCodec(nullptr)) == RemoteIssue::argument_without_codec));
    BOOST_TEST((issue([](int*) {}, &captured) == RemoteIssue::argument_without_codec));
    BOOST_TEST((issue([](auto) {}, NoCodec(nullptr)) == RemoteIssue::argument_without_codec));
    BOOST_TEST((issue([](int& x) { ++x; }, 1) == RemoteIssue::not_callable));
    BOOST_TEST((issue([](int) {}, 1, 2) == RemoteIssue::not_callable));
    BOOST_TEST((issue([](std::string) {}, 1) == RemoteIssue::not_callable));
    BOOST_TEST((issue([] { return NoCodec(nullptr); }) == RemoteIssue::result_without_codec));
    BOOST_TEST((issue([] { return std::string_view("x"); }) == RemoteIssue::result_without_codec));
}

BOOST_AUTO_TEST_CASE(a_refusal_names_the_callable_and_the_type) {
    using Argument = CallOf<decltype([](int, NoCodec) {}), int, NoCodec>;
    BOOST_TEST(Argument::refusal().find("NoCodec") != std::string::npos);
    BOOST_TEST(Argument::refusal().find("argument") != std::string::npos);
    using State = CallOf<std::function<int()>>;
    BOOST_TEST(State::refusal().find("std::function") != std::string::npos);
    BOOST_TEST((CallOf<decltype(add), long, long>::refusal()) == "");
}

BOOST_AUTO_TEST_SUITE_END()
