#include "process/exception_codec.hpp"

#define BOOST_TEST_MODULE exception_codec
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include "support/crossing.hpp"
#include "support/message_of.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/errc.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <boost/throw_exception.hpp>

#include <any>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
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

struct ParseError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Silent : std::exception {
    const char* what() const noexcept override { return nullptr; }
};

struct Plain {};

struct Chained : std::nested_exception {};

class Category : public std::error_category {
public:
    const char* name() const noexcept override { return "app"; }
    std::string message(int) const override { return "app failed"; }
};

}  // namespace app

namespace {

using namespace cofutures;
using namespace cofutures::process;
using namespace cofutures::test;

template <class... Exceptions>
void check_default() {
    (check_same(Exceptions()), ...);
}

template <class... Exceptions>
void check_with_text() {
    (check_same(Exceptions("some \xff text")), ...);
    (check_same(Exceptions("")), ...);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(exception_codec)

BOOST_AUTO_TEST_CASE(standard_exceptions_arrive_as_themselves) {
    check_with_text<
        std::logic_error,
        std::invalid_argument,
        std::domain_error,
        std::length_error,
        std::out_of_range,
        std::runtime_error,
        std::range_error,
        std::overflow_error,
        std::underflow_error>();
    check_default<
        std::exception,
        std::bad_alloc,
        std::bad_array_new_length,
        std::bad_any_cast,
        std::bad_cast,
        std::bad_exception,
        std::bad_typeid,
        std::bad_function_call,
        std::bad_optional_access,
        std::bad_variant_access,
        std::bad_weak_ptr>();
    check_same(std::future_error(std::future_errc::broken_promise));
    const auto crossed = check_same(std::regex_error(std::regex_constants::error_brack));
    BOOST_TEST((crossed.code() == std::regex_constants::error_brack));
}

BOOST_AUTO_TEST_CASE(what_the_library_itself_throws_arrives_with_its_text) {
    using Choice = std::variant<char, app::Explosive>;
    check_same<std::bad_variant_access>(caught([] { static_cast<void>(std::get<1>(Choice('c'))); })
    );
    Choice valueless;
    BOOST_CHECK_THROW(valueless.emplace<1>(0), int);
    check_same<std::bad_variant_access>(caught([&] { static_cast<void>(std::get<char>(valueless)); }
    ));
    check_same<std::bad_variant_access>(caught([&] { std::visit([](const auto&) {}, valueless); }));
    check_same<std::bad_alloc>(caught([] { throw std::bad_alloc(); }));
    check_same<std::regex_error>(caught([] { std::regex("(["); }));
    check_same<std::bad_weak_ptr>(caught([] { std::shared_ptr<int>(std::weak_ptr<int>()); }));
    check_same<std::out_of_range>(caught([] { static_cast<void>(std::vector<int>().at(1)); }));
}

BOOST_AUTO_TEST_CASE(a_system_error_arrives_with_its_code) {
    for (const auto* category :
         {&std::generic_category(),
          &std::system_category(),
          &std::iostream_category(),
          &std::future_category()}) {
        const std::error_code code(2, *category);
        BOOST_TEST((check_same(std::system_error(code)).code() == code));
        BOOST_TEST((check_same(std::system_error(code, "open")).code() == code));
        BOOST_TEST((check_same(std::system_error(code, "")).code() == code));
        BOOST_TEST((check_same(std::system_error(code, code.message())).code() == code));
    }
    check_same(std::ios_base::failure("read failed"));
}

BOOST_AUTO_TEST_CASE(an_unknown_category_makes_a_remote_error) {
    const app::Category category;
    const std::system_error error(7, category, "open");
    const auto remote = check_remote(std::make_exception_ptr(error));
    BOOST_TEST(remote.what() == "open: app failed");
    BOOST_TEST(remote.type_name() == "std::system_error");
}

BOOST_AUTO_TEST_CASE(an_error_of_asio_arrives_with_its_code) {
    namespace error = boost::asio::error;
    using boost::system::system_error;
    for (const boost::system::error_code code : {
             error::make_error_code(error::eof),
             error::make_error_code(error::connection_refused),
             error::make_error_code(error::host_not_found),
             error::make_error_code(error::service_not_found),
             make_error_code(boost::system::errc::timed_out),
         }) {
        BOOST_TEST((check_same(system_error(code)).code() == code));
        BOOST_TEST((check_same(system_error(code, "connect")).code() == code));
        BOOST_TEST((check_same(std::system_error(code, "connect")).code() == code));
    }
}

BOOST_AUTO_TEST_CASE(what_boost_throws_arrives_as_what_it_was_made_of) {
    boost::asio::io_context io;
    boost::asio::ip::tcp::socket closed(io);
    const auto error = caught([&] { closed.shutdown(closed.shutdown_both); });
    try {
        std::rethrow_exception(cross(error));
    } catch (const boost::system::system_error& back) {
        BOOST_TEST((typeid(back) == typeid(boost::system::system_error)));
        BOOST_TEST((back.code() == boost::asio::error::bad_descriptor));
        BOOST_TEST(back.what() == message_of<std::exception>([&] {
                       std::rethrow_exception(error);
                   }));
    }
    const auto range = caught([] { boost::throw_exception(std::out_of_range("far")); });
    try {
        std::rethrow_exception(cross(range));
    } catch (const std::out_of_range& back) {
        BOOST_TEST((typeid(back) == typeid(std::out_of_range)));
        BOOST_TEST(back.what() == std::string("far"));
    }
}

BOOST_AUTO_TEST_CASE(a_filesystem_error_arrives_with_its_paths) {
    using std::filesystem::filesystem_error;
    const auto code = std::make_error_code(std::errc::no_such_file_or_directory);
    check_same(filesystem_error("stat", code));
    const auto one = check_same(filesystem_error("stat", "/tmp/\xff", code));
    BOOST_TEST(one.path1().string() == "/tmp/\xff");
    BOOST_TEST((one.code() == code));
    const auto two = check_same(filesystem_error("copy", "/a", "/b", code));
    BOOST_TEST(two.path2().string() == "/b");
    check_same(filesystem_error("", "", "", code));
    check_same<filesystem_error>(caught([] {
        static_cast<void>(std::filesystem::file_size("/does/not/exist"));
    }));
}

BOOST_AUTO_TEST_CASE(the_librarys_own_errors_arrive_as_themselves) {
    check_with_text<
        Error,
        CancelledError,
        TimeoutError,
        InvalidStateError,
        ShutdownError,
        QueueFullError,
        DeadlockError,
        BrokenExecutor,
        BrokenThreadPool,
        BrokenProcessPool,
        TaskTimeoutError,
        WorkerDiedError,
        RemoteError,
        SerializationError,
        UnknownTaskError>();
    check_default<CancelledError, TimeoutError, ShutdownError>();
}

BOOST_AUTO_TEST_CASE(a_broken_pool_arrives_with_its_worker) {
    const WorkerExit exit{.pid = 4711, .exit_code = {}, .signal = 9, .task = "t"};
    const auto broken = check_same(BrokenProcessPool("a worker ended", exit)).worker();
    BOOST_TEST(broken.pid == 4711);
    BOOST_TEST(broken.signal.value() == 9);
    BOOST_TEST(!broken.exit_code.has_value());
    BOOST_TEST(check_same(WorkerDiedError("gone", exit)).worker().task == "t");
}

BOOST_AUTO_TEST_CASE(a_remote_error_arrives_with_its_fields) {
    const auto back = check_same(RemoteError("text", "app::ParseError", "there\nand there"));
    BOOST_TEST(back.type_name() == "app::ParseError");
    BOOST_TEST(back.remote_trace() == "there\nand there");
}

BOOST_AUTO_TEST_CASE(a_derived_type_is_not_taken_for_its_base) {
    const auto remote = check_remote(std::make_exception_ptr(app::ParseError("line 3")));
    BOOST_TEST(remote.what() == "line 3");
    BOOST_TEST(remote.type_name() == "app::ParseError");
    BOOST_TEST(remote.remote_trace() == "worker 1, task \"t\"\napp::ParseError: line 3");
}

BOOST_AUTO_TEST_CASE(what_is_no_std_exception_is_named_and_shown) {
    const auto of = [](auto value) {
        return check_remote(std::make_exception_ptr(value));
    };
    BOOST_TEST(of(42).type_name() == "int");
    BOOST_TEST(of(42).what() == "42");
    BOOST_TEST(of(std::string("text")).type_name() == "std::string");
    BOOST_TEST(of(std::string("text")).what() == "text");
    BOOST_TEST(of(static_cast<const char*>("text")).what() == "text");
    BOOST_TEST(of(static_cast<const char*>(nullptr)).what() == "");
    BOOST_TEST(of(app::Plain()).type_name() == "app::Plain");
    BOOST_TEST(of(app::Plain()).what() == "");
    BOOST_TEST(of(2.5).type_name() == "double");
}

BOOST_AUTO_TEST_CASE(a_null_text_is_empty) {
    const auto remote = check_remote(std::make_exception_ptr(app::Silent()));
    BOOST_TEST(remote.what() == "");
    BOOST_TEST(remote.type_name() == "app::Silent");
}

BOOST_AUTO_TEST_CASE(nested_exceptions_arrive_nested) {
    const auto error = cross(caught([] {
        try {
            try {
                throw app::ParseError("inner\nsecond line");
            } catch (...) {
                std::throw_with_nested(std::invalid_argument("middle"));
            }
        } catch (...) {
            std::throw_with_nested(BrokenThreadPool("outer"));
        }
    }));
    BOOST_CHECK_EXCEPTION(std::rethrow_exception(error), BrokenThreadPool, [](const auto& outer) {
        BOOST_TEST(outer.what() == "outer");
        BOOST_CHECK_EXCEPTION(
            std::rethrow_if_nested(outer),
            std::invalid_argument,
            [](const auto& middle) {
                BOOST_TEST(middle.what() == "middle");
                BOOST_CHECK_THROW(std::rethrow_if_nested(middle), RemoteError);
                return true;
            }
        );
        return true;
    });
}

BOOST_AUTO_TEST_CASE(the_trace_has_a_line_for_each_nested_exception) {
    const auto failure = capture_failure(
        caught([] {
            try {
                throw 42;
            } catch (...) {
                std::throw_with_nested(app::ParseError("first\nsecond"));
            }
        }),
        "here"
    );
    BOOST_TEST(failure.type_name == "app::ParseError");
    BOOST_TEST(failure.remote_trace == "here\napp::ParseError: first\ncaused by int: 42");
}

BOOST_AUTO_TEST_CASE(a_nested_exception_in_no_std_exception_is_kept) {
    const auto error = cross(caught([] {
        try {
            throw std::range_error("inner");
        } catch (...) {
            throw app::Chained();
        }
    }));
    BOOST_CHECK_EXCEPTION(std::rethrow_exception(error), RemoteError, [](const auto& outer) {
        BOOST_TEST(outer.type_name() == "app::Chained");
        BOOST_CHECK_THROW(std::rethrow_if_nested(outer), std::range_error);
        return true;
    });
}

BOOST_AUTO_TEST_CASE(texts_and_nesting_are_bounded) {
    const std::string long_text(1'000'000, 'x');
    const auto failure =
        capture_failure(std::make_exception_ptr(app::ParseError(long_text)), long_text);
    BOOST_TEST(failure.what.size() == 65536U);
    BOOST_TEST(failure.remote_trace.size() == 65536U);

    std::exception_ptr chain = std::make_exception_ptr(1);
    for (int i = 0; i < 100; ++i) {
        chain = caught([&] {
            try {
                std::rethrow_exception(chain);
            } catch (...) {
                std::throw_with_nested(std::runtime_error("level"));
            }
        });
    }
    int levels = 0;
    const auto captured = capture_failure(chain, "");
    for (const Failure* level = &captured; level != nullptr; ++levels) {
        level = level->nested.empty() ? nullptr : &level->nested.front();
    }
    BOOST_TEST(levels == 16);
    BOOST_CHECK_THROW(std::rethrow_exception(cross(chain)), std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_failure_without_its_detail_is_a_remote_error) {
    for (const char* name :
         {"std::system_error",
          "std::future_error",
          "std::regex_error",
          "std::filesystem::__cxx11::filesystem_error",
          "cofutures::BrokenProcessPool",
          "cofutures::RemoteError",
          "",
          "no such type"}) {
        Failure failure;
        failure.type_name = name;
        failure.what = "text";
        BOOST_CHECK_EXCEPTION(
            std::rethrow_exception(rebuild(failure)),
            RemoteError,
            [&](const RemoteError& error) {
                return error.type_name() == name && error.what() == std::string("text");
            }
        );
    }
}

BOOST_AUTO_TEST_SUITE_END()
