#include "process/exception_types.hpp"

#define BOOST_TEST_MODULE exception_types
#include <boost/test/unit_test.hpp>

#include <cofutures/codec.hpp>
#include <cofutures/error.hpp>
#include <cofutures/register_exception.hpp>

#include "process/exception_codec.hpp"

#include "support/crossing.hpp"

#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <variant>

namespace app {

struct NotFound : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct InNotFound : NotFound {
    using NotFound::NotFound;
};

struct Decorated : std::runtime_error {
    explicit Decorated(const std::string& text) : std::runtime_error("decorated: " + text) {}
};

struct AtLine : std::runtime_error {
    AtLine(const std::string& text, int number)
        : std::runtime_error(text + " in line " + std::to_string(number)), line(number) {}
    int line;
};

struct Located : std::runtime_error {
    using std::runtime_error::runtime_error;
    int line = 0;
};

struct Bare : std::exception {};

static_assert(cofutures::detail::MadeOfText<NotFound>);
static_assert(!cofutures::detail::MadeOfText<Located>, "its line would be lost");
static_assert(!cofutures::Encodable<NotFound> && !cofutures::Encodable<Located>);
static_assert(!cofutures::Encodable<Bare> && !cofutures::detail::MadeOfText<Bare>);

struct Failed {
    int code;
    std::string where;
};

// Throws what its members say, when it is encoded or decoded.
struct Moody : std::exception {
    Moody(int encoder, int decoder) : throws_in_encoder(encoder), throws_in_decoder(decoder) {}
    const char* what() const noexcept override { return "moody"; }
    int throws_in_encoder;
    int throws_in_decoder;
};

struct Unregistered : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace app

template <>
struct cofutures::Codec<app::AtLine> {
    static void encode(Encoder& encoder, const app::AtLine& error) {
        const std::string text = error.what();
        cofutures::encode(encoder, text.substr(0, text.rfind(" in line ")));
        cofutures::encode(encoder, error.line);
    }
    static app::AtLine decode(Decoder& decoder) {
        const auto text = cofutures::decode<std::string>(decoder);
        return {text, cofutures::decode<int>(decoder)};
    }
};

template <>
struct cofutures::Codec<app::Moody> {
    static void throw_if(int wanted) {
        if (wanted == 1) {
            throw std::logic_error("no mood for it");
        }
        if (wanted == 2) {
            throw std::bad_alloc();
        }
    }
    static void encode(Encoder& encoder, const app::Moody& error) {
        throw_if(error.throws_in_encoder);
        cofutures::encode(encoder, error.throws_in_decoder);
    }
    static app::Moody decode(Decoder& decoder) {
        const int wanted = cofutures::decode<int>(decoder);
        throw_if(wanted);
        return {0, wanted};
    }
};

using namespace cofutures;
using namespace cofutures::process;
using namespace cofutures::test;

BOOST_AUTO_TEST_SUITE(test_exception_types)

BOOST_AUTO_TEST_CASE(a_registered_type_arrives_as_itself) {
    register_exception<app::NotFound>();
    register_exception<app::NotFound>();  // once more is nothing new
    check_same(app::NotFound("no key 7"));
    check_same(app::NotFound(""));

    register_exception<app::AtLine>();
    BOOST_TEST(check_same(app::AtLine("no brace", 7)).line == 7);

    register_exception<app::Failed>();
    BOOST_CHECK_EXCEPTION(
        std::rethrow_exception(cross(std::make_exception_ptr(app::Failed{7, "here"}))),
        app::Failed,
        [](const app::Failed& back) { return back.code == 7 && back.where == "here"; }
    );
}

BOOST_AUTO_TEST_CASE(what_is_nested_in_a_registered_type_arrives_too) {
    register_exception<app::AtLine>();
    register_exception<app::NotFound>();
    const auto error = caught([] {
        try {
            throw app::NotFound("no key 7");
        } catch (...) {
            std::throw_with_nested(app::AtLine("no value", 3));
        }
    });
    try {
        std::rethrow_exception(cross(error));
    } catch (const app::AtLine& outer) {
        BOOST_TEST(outer.line == 3);
        BOOST_CHECK_EXCEPTION(
            std::rethrow_if_nested(outer),
            app::NotFound,
            [](const app::NotFound& inner) { return inner.what() == std::string("no key 7"); }
        );
    }
}

BOOST_AUTO_TEST_CASE(what_would_not_be_the_same_is_a_remote_error) {
    register_exception<app::NotFound>();
    register_exception<app::Decorated>();
    register_exception<app::Failed>();
    // Of a type derived from one, of another text, and too long.
    BOOST_TEST(
        check_remote(std::make_exception_ptr(app::InNotFound("x"))).type_name() == "app::InNotFound"
    );
    BOOST_TEST(
        check_remote(std::make_exception_ptr(app::Decorated("x"))).what() ==
        std::string("decorated: x")
    );
    BOOST_TEST(
        check_remote(std::make_exception_ptr(app::Failed{1, std::string(65536, 'x')}))
            .type_name() == "app::Failed"
    );
    // What the worker knows, and this process does not.
    Failure failure = capture_failure(std::make_exception_ptr(app::NotFound("x")), "");
    failure.type_name = "app::Unregistered";
    BOOST_CHECK_THROW(std::rethrow_exception(rebuild(failure)), RemoteError);
    // Bytes that are none of it.
    failure = capture_failure(std::make_exception_ptr(app::Failed{1, "here"}), "");
    std::get<RegisteredDetail>(failure.detail).bytes.pop_back();
    BOOST_CHECK_THROW(std::rethrow_exception(rebuild(failure)), RemoteError);
}

BOOST_AUTO_TEST_CASE(a_codec_that_throws_makes_a_remote_error_but_for_want_of_memory) {
    register_exception<app::Moody>();
    const auto cross_moody = [](int encoder, int decoder) {
        std::rethrow_exception(cross(std::make_exception_ptr(app::Moody(encoder, decoder))));
    };
    BOOST_CHECK_THROW(cross_moody(0, 0), app::Moody);
    BOOST_CHECK_THROW(cross_moody(1, 0), RemoteError);
    BOOST_CHECK_THROW(cross_moody(0, 1), RemoteError);
    BOOST_CHECK_THROW(cross_moody(2, 0), std::bad_alloc);
    BOOST_CHECK_THROW(cross_moody(0, 2), std::bad_alloc);
}

BOOST_AUTO_TEST_CASE(two_types_of_one_name_cannot_both_be_registered) {
    const auto is_clear = [](const std::invalid_argument& error) {
        return std::string(error.what()).starts_with("another exception type is registered as ");
    };
    {
        struct Twin {
            int value;
        };
        register_exception<Twin>();
    }
    {
        struct Twin {
            std::string value;
        };
        BOOST_CHECK_EXCEPTION(register_exception<Twin>(), std::invalid_argument, is_clear);
    }
}

BOOST_AUTO_TEST_SUITE_END()
