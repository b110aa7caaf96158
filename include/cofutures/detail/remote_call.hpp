#pragma once

#include <cofutures/codec.hpp>
#include <cofutures/error.hpp>

#include <cofutures/detail/codec_trait.hpp>
#include <cofutures/detail/codec_type_name.hpp>
#include <cofutures/detail/task_descriptor.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// @file
/// Which calls can be made in another process, and how their two halves are put together.

namespace cofutures {

template <class T>
class Shared;

namespace detail {

// --- what travels for a parameter ----------------------------------------------------------------

/// How a value of type `T` travels, and what the callable gets of what arrived.
///
/// A view travels as what it views, and is a view again in the worker.
template <class T>
struct Wire {
    using type = T;
    static T&& pass(T& value) noexcept { return std::move(value); }
};

template <class Char, class Traits>
struct Wire<std::basic_string_view<Char, Traits>> {
    using type = std::basic_string<Char, Traits>;
    static type make(std::basic_string_view<Char, Traits> view) { return type(view); }
    static std::basic_string_view<Char, Traits> pass(type& value) noexcept { return value; }
};

// Not of bool: a vector of them holds none that could be viewed.
template <class T>
requires(std::is_copy_constructible_v<T> && !std::is_same_v<T, bool>) struct Wire<
    std::span<const T>> {
    using type = std::vector<T>;
    static type make(std::span<const T> view) { return type(view.begin(), view.end()); }
    static std::span<const T> pass(type& value) noexcept { return value; }
};
template <>
struct Wire<const char*> {
    using type = std::string;
    static type make(const char* text) {
        if (text == nullptr) {
            throw SerializationError("a null const char* cannot be sent to a worker process");
        }
        return text;
    }
    static const char* pass(type& value) noexcept { return value.c_str(); }
};

template <class T>
using WireType = typename Wire<T>::type;

/// What the callable gets.
template <class T>
using Passed = decltype(Wire<T>::pass(std::declval<WireType<T>&>()));

/// A handle on a shared value travels as itself, as only so it is sent once.
template <class T>
inline constexpr bool is_shared = false;
template <class T>
inline constexpr bool is_shared<Shared<T>> = true;

/// As what an argument of type `Arg` travels to a parameter of type `Parameter`: as the parameter,
/// so that conversions happen where the caller sees them fail; as itself if the parameter cannot
/// travel (some library's string view), or is a base of it, of which only a slice would arrive.
template <class Parameter, class Arg>
using Carried = std::conditional_t<
    !is_shared<Arg> && Encodable<WireType<std::remove_cvref_t<Parameter>>> &&
        !(std::is_base_of_v<std::remove_cvref_t<Parameter>, Arg>),
    std::remove_cvref_t<Parameter>,
    Arg>;

template <class T, class Arg>
void encode_argument(Encoder& encoder, Arg& argument) {
    if constexpr (std::is_same_v<Arg, WireType<T>>) {
        cofutures::encode(encoder, argument);
    } else if constexpr (std::is_same_v<T, WireType<T>>) {
        cofutures::encode(encoder, static_cast<T>(std::move(argument)));
    } else {
        cofutures::encode(encoder, Wire<T>::make(std::move(argument)));
    }
}

// --- the parameters of a callable ----------------------------------------------------------------

template <class Function>
struct Signature {};
template <class R, class... P, bool N>
struct Signature<R (*)(P...) noexcept(N)> {
    using parameters = std::tuple<P...>;
};
template <class C, class R, class... P, bool N>
struct Signature<R (C::*)(P...) noexcept(N)> {
    using parameters = std::tuple<P...>;
};
template <class C, class R, class... P, bool N>
struct Signature<R (C::*)(P...) const noexcept(N)> {
    using parameters = std::tuple<P...>;
};
template <class C, class R, class... P, bool N>
struct Signature<R (C::*)(P...)& noexcept(N)> {
    using parameters = std::tuple<P...>;
};
template <class C, class R, class... P, bool N>
struct Signature<R (C::*)(P...) const& noexcept(N)> {
    using parameters = std::tuple<P...>;
};
template <class C, class R, class... P, bool N>
struct Signature<R (C::*)(P...)&& noexcept(N)> {
    using parameters = std::tuple<P...>;
};
template <class C, class R, class... P, bool N>
struct Signature<R (C::*)(P...) const&& noexcept(N)> {
    using parameters = std::tuple<P...>;
};

template <class F>
struct SignatureOf {};
template <class F>
requires std::is_function_v<std::remove_pointer_t<F>>
struct SignatureOf<F> : Signature<F> {
};
template <class F>
requires requires {
    &F::operator();
}
struct SignatureOf<F> : Signature<decltype(&F::operator())> {};

/// Whether the callable has one signature, with at least `Count` parameters; the others have
/// defaults, or the call does not compile.
template <class F, std::size_t Count>
concept OneSignature = requires {
    typename SignatureOf<F>::parameters;
    requires std::tuple_size_v<typename SignatureOf<F>::parameters>
    >= Count;
};

template <class F, class Indices, class... Args>
struct CarriedTypes {
    using type = Types<Carried<Args, Args>...>;
};
template <class F, std::size_t... I, class... Args>
requires OneSignature<F, sizeof...(Args)>
struct CarriedTypes<F, std::index_sequence<I...>, Args...> {
    using type =
        Types<Carried<std::tuple_element_t<I, typename SignatureOf<F>::parameters>, Args>...>;
};

// --- the callable --------------------------------------------------------------------------------

template <auto Value>
consteval const char* decorated_value_name() {
    return __PRETTY_FUNCTION__;
}

/// The name of `Value` as the compiler spells it.
template <auto Value>
consteval std::string_view value_name() {
    constexpr std::string_view known = "12345";
    constexpr std::string_view sample = decorated_value_name<12345>();
    constexpr std::size_t before = sample.find(known);
    constexpr std::size_t after = sample.size() - before - known.size();
    const std::string_view decorated = decorated_value_name<Value>();
    return decorated.substr(before, decorated.size() - before - after);
}

template <auto Value>
inline constexpr auto value_name_string = terminated<value_name<Value>().size()>(value_name<Value>()
);

/// A lambda without captures, or another functor without data: made anew in the worker.
template <class F>
struct Stateless {
    using type = F;
    static constexpr const char* name = type_name_string<F>.data();
    static F get(std::uintptr_t /*function*/) { return F{}; }
};

/// A function whose address travels beside the descriptor, which is the same for all of its type.
template <class F>
struct ByAddress {
    using type = F;
    static constexpr const char* name = type_name_string<std::remove_pointer_t<F>>.data();
    static F get(std::uintptr_t function) {
        if (function == 0) {
            throw UnknownTaskError("the task is a null function pointer");
        }
        return reinterpret_cast<F>(function);  // NOLINT: checked to be code of this program
    }
};

/// A function, or another constant that can be called, named at compile time.
template <auto Value>
struct Constant {
    using type = std::remove_const_t<decltype(Value)>;
    static constexpr const char* name = value_name_string<Value>.data();
    static type get(std::uintptr_t /*function*/) { return Value; }
};

/// A callable with data of its own.
template <class F>
struct Stateful {
    using type = F;
    static constexpr const char* name = type_name_string<F>.data();
};

template <class F>
using CalleeOf = std::conditional_t<
    std::is_function_v<std::remove_pointer_t<F>>,
    ByAddress<F>,
    std::conditional_t<
        std::is_class_v<F> && std::is_empty_v<F> && std::is_default_constructible_v<F>,
        Stateless<F>,
        Stateful<F>>>;

template <class Callee>
inline constexpr bool has_state = false;
template <class F>
inline constexpr bool has_state<Stateful<F>> = true;

// --- the call ------------------------------------------------------------------------------------

/// The callable as it is called: as an rvalue, as `submit` does, or else as an lvalue.
template <class F, class... Ts>
using CalledAs = std::conditional_t<std::is_invocable_v<F, Ts...>, F&&, F&>;

/// The result of a call; void if there is no such call.
template <class F, class... Ts>
struct ResultOf {
    using type = void;
};
template <class F, class... Ts>
requires std::is_invocable_v<CalledAs<F, Ts...>, Ts...>
struct ResultOf<F, Ts...> {
    using type = std::remove_cvref_t<std::invoke_result_t<CalledAs<F, Ts...>, Ts...>>;
};

/// The worker's half of a call: all that differs between two calls is in this type's name.
template <class Callee, class Result, class... Ts>
struct RemoteThunk {
    static constexpr const char* name = Callee::name;

    static void run(std::uintptr_t function, Decoder& arguments, Encoder& result) {
        // Braces, because they keep the order.
        std::tuple<WireType<Ts>...> values{cofutures::decode<WireType<Ts>>(arguments)...};
        arguments.expect_end();
        auto callable = Callee::get(function);
        const auto call = [&](WireType<Ts>&... value) -> decltype(auto) {
            return std::invoke(
                static_cast<CalledAs<typename Callee::type, Passed<Ts>...>>(callable),
                Wire<Ts>::pass(value)...
            );
        };
        if constexpr (std::is_void_v<Result>) {
            std::apply(call, values);
        } else {
            // Encoded while the arguments live: a result may refer to them.
            decltype(auto) value = std::apply(call, values);
            cofutures::encode<Result>(result, value);
        }
    }
};

/// Why a call cannot be made in another process.
enum class RemoteIssue {
    none,
    callable_with_state,
    wants_stop_token,
    not_callable,
    argument_without_codec,
    result_without_codec,
};

template <class Callee, class ArgTypes, class CarriedList>
struct RemoteInvocation;

template <class Callee, class... Args, class... Ts>
struct RemoteInvocation<Callee, Types<Args...>, Types<Ts...>> {
    using result_type = typename ResultOf<typename Callee::type, Passed<Ts>...>::type;

    static constexpr RemoteIssue issue = [] {
        using F = typename Callee::type;
        if (has_state<Callee>) {
            return RemoteIssue::callable_with_state;
        }
        // As a type, so that a generic callable is not asked about a token that it does not want.
        if (std::conjunction_v<
                std::negation<std::is_invocable<F, Args...>>,
                std::is_invocable<F, std::stop_token, Args...>>) {
            return RemoteIssue::wants_stop_token;
        }
        if (!(Encodable<WireType<Ts>> && ...)) {
            return RemoteIssue::argument_without_codec;
        }
        if (!(std::is_convertible_v<Args, Ts> && ...) ||
            !std::is_invocable_v<CalledAs<F, Passed<Ts>...>, Passed<Ts>...>) {
            return RemoteIssue::not_callable;
        }
        if (!std::is_void_v<result_type> && !Encodable<result_type>) {
            return RemoteIssue::result_without_codec;
        }
        return RemoteIssue::none;
    }();

    /// Whether the call can be made in another process. The members below need it.
    static constexpr bool remotable = issue == RemoteIssue::none;

    static const TaskDescriptor& descriptor() noexcept {
        return task_descriptor<RemoteThunk<Callee, result_type, Ts...>>;
    }

    /// Appends the arguments as the worker's half wants them; they may be moved from.
    static void encode_arguments(Encoder& encoder, Args&... args) {
        (encode_argument<Ts>(encoder, args), ...);
    }

    /// Does not compile unless the call is remotable, and says why.
    static consteval void require_remotable() {
        static_assert(
            issue != RemoteIssue::callable_with_state,
            "this callable cannot be sent to another process, because it holds data, as a lambda "
            "with captures does: pass the data as arguments"
        );
        static_assert(
            issue != RemoteIssue::wants_stop_token,
            "a call that wants a std::stop_token cannot be sent to another process, where no stop "
            "request would reach it"
        );
        static_assert(
            issue != RemoteIssue::not_callable,
            "this call cannot be made in another process: the arguments arrive there as temporary "
            "objects of the parameters' types, so no parameter may be a non-const lvalue reference"
        );
        if constexpr (issue == RemoteIssue::argument_without_codec) {
            (require_codec<WireType<Ts>>(), ...);
        } else if constexpr (issue == RemoteIssue::result_without_codec) {
            require_codec<result_type>();
        }
    }

    /// The same in words, for a call that is refused when the program runs.
    static std::string refusal() {
        const std::string what =
            std::string("\"") + Callee::name + "\" cannot be sent to a worker process: ";
        switch (issue) {
        case RemoteIssue::callable_with_state:
            return what +
                   "it holds data, as a lambda with captures does; pass the data as arguments";
        case RemoteIssue::wants_stop_token:
            return what + "it wants a std::stop_token, and no stop request would reach it";
        case RemoteIssue::not_callable:
            return what + "it does not take temporary objects as its arguments";
        case RemoteIssue::argument_without_codec:
            return what + "no codec for its argument of type" +
                   (std::string() + ... + name_without_codec<WireType<Ts>>());
        case RemoteIssue::result_without_codec:
            return what + "no codec for its result of type" + name_without_codec<result_type>();
        case RemoteIssue::none:
            break;
        }
        return {};
    }

private:
    template <class T>
    static std::string name_without_codec() {
        return Encodable<T> ? std::string() : " " + std::string(type_name<T>());
    }

    template <class T>
    static consteval void require_codec() {
        if constexpr (!Encodable<T>) {
            no_codec_for(culprit<T>);
        }
    }
};

template <class Callee, class... Args>
using RemoteInvocationOf = RemoteInvocation<
    Callee,
    Types<Args...>,
    typename CarriedTypes<typename Callee::type, std::index_sequence_for<Args...>, Args...>::type>;

/// The call of an `F` with `Args`, both as `submit` stores them: can it be made in another process,
/// and how?
///
/// Asking never fails to compile. Each argument travels as the parameter that it is for, when the
/// callable has one signature, else as the type that it has.
///
/// @code
/// using Call = RemoteCall<bool (*)(long), int>;
/// static_assert(Call::remotable);
/// Call::encode_arguments(encoder, argument);                              // in the parent
/// Call::descriptor().thunk(Call::function(is_prime), arguments, result);  // in the worker
/// @endcode
template <class F, class... Args>
struct RemoteCall : RemoteInvocationOf<CalleeOf<F>, Args...> {
    /// The address to send; 0 if the descriptor says it all.
    static std::uintptr_t function(const F& callable) noexcept {
        if constexpr (std::is_function_v<std::remove_pointer_t<F>>) {
            return reinterpret_cast<std::uintptr_t>(callable);  // NOLINT: to be found in an image
        } else {
            return 0;
        }
    }
};

/// The same for a callable that is a template argument: `submit<&is_prime>(n)`.
template <auto Fn, class... Args>
struct RemoteConstantCall : RemoteInvocationOf<Constant<Fn>, Args...> {
    static std::uintptr_t function(const typename Constant<Fn>::type& /*callable*/) noexcept {
        return 0;
    }
};

}  // namespace detail
}  // namespace cofutures
