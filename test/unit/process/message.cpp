#include "process/message.hpp"

#define BOOST_TEST_MODULE message
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace cofutures;
using namespace cofutures::process;

using Bytes = std::vector<std::byte>;

std::span<const std::byte> view(std::string_view text) {
    return std::as_bytes(std::span(text));
}

template <class Message>
Bytes encoded(const Message& message) {
    Bytes bytes;
    append_message(bytes, message);
    return bytes;
}

Hello hello() {
    return {.version = 3, .build_id = "build", .pid = 4711};
}

TaskMessage task() {
    return {
        .ref =
            {.module = "libtasks.so",
             .offset = 1,
             .check = 2,
             .function_module = "",
             .function_offset = 3},
        .name = "resize",
        .arguments = view("arguments"),
    };
}

Failure failure() {
    return capture_failure(
        std::make_exception_ptr(std::system_error(2, std::generic_category(), "open")), "worker 1"
    );
}

/// Every truncation is refused, every change of one byte refused or read as another message.
template <class Read>
void check_hostile(const Bytes& original, std::size_t shortest, Read read) {
    for (std::size_t size = 0; size < shortest; ++size) {
        const Bytes cut(original.begin(), original.begin() + static_cast<std::ptrdiff_t>(size));
        BOOST_CHECK_THROW(read(cut), SerializationError);
    }
    for (std::size_t at = 0; at < original.size(); ++at) {
        for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
            Bytes bytes = original;
            bytes[at] = static_cast<std::byte>(value);
            try {
                read(bytes);
            } catch (const SerializationError&) {
            }
        }
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(message)

BOOST_AUTO_TEST_CASE(a_hello_comes_back) {
    const Hello back = read_hello(encoded(hello()));
    BOOST_TEST(back.version == 3U);
    BOOST_TEST(back.build_id == "build");
    BOOST_TEST(back.pid == 4711);
}

BOOST_AUTO_TEST_CASE(a_task_comes_back_and_its_arguments_are_a_view) {
    const Bytes bytes = encoded(task());
    const TaskMessage back = read_task(bytes);
    BOOST_TEST((back.ref == task().ref));
    BOOST_TEST(back.name == "resize");
    BOOST_TEST(std::ranges::equal(back.arguments, view("arguments")));
    BOOST_TEST((&back.arguments.back() == &bytes.back()));
}

BOOST_AUTO_TEST_CASE(an_init_comes_back) {
    const Init plain = read_init(encoded(Init{.build_id = "build", .is_own_program = false}));
    BOOST_TEST(plain.version == protocol_version);
    BOOST_TEST(plain.build_id == "build");
    BOOST_TEST(!plain.is_own_program);
    BOOST_TEST(!plain.captures_output);
    BOOST_TEST(!plain.initializer);
    const Bytes bytes = encoded(Init{.captures_output = true, .initializer = task()});
    const Init full = read_init(bytes);
    BOOST_TEST(full.captures_output);
    BOOST_REQUIRE(full.initializer);
    BOOST_TEST((full.initializer->ref == task().ref));
    BOOST_TEST(std::ranges::equal(full.initializer->arguments, view("arguments")));
}

BOOST_AUTO_TEST_CASE(of_an_init_of_another_version_only_that_is_read) {
    Bytes bytes = encoded(Init{.version = 99});
    bytes.resize(4);
    BOOST_TEST(read_init(bytes).version == 99U);
}

BOOST_AUTO_TEST_CASE(arguments_may_be_appended_by_the_caller) {
    TaskMessage message = task();
    message.arguments = {};
    Bytes bytes = encoded(message);
    std::ranges::copy(view("arguments"), std::back_inserter(bytes));
    BOOST_TEST((bytes == encoded(task())));
}

BOOST_AUTO_TEST_CASE(a_failure_comes_back) {
    const Failure back = read_failure(encoded(failure()));
    BOOST_TEST(back.type_name == "std::system_error");
    BOOST_TEST(back.what == failure().what);
    BOOST_TEST(back.remote_trace == failure().remote_trace);
    BOOST_TEST(std::get<ErrorCodeDetail>(back.detail).message == "open");
}

BOOST_AUTO_TEST_CASE(a_failure_comes_back_with_all_that_is_nested) {
    Failure outer = failure();
    outer.nested.push_back(failure());
    outer.nested.front().nested.push_back(failure());
    const Failure back = read_failure(encoded(outer));
    BOOST_TEST(back.nested.at(0).nested.at(0).what == outer.what);
}

BOOST_AUTO_TEST_CASE(bytes_left_over_are_refused) {
    for (Bytes bytes : {encoded(hello()), encoded(failure())}) {
        bytes.emplace_back();
        BOOST_CHECK_THROW(static_cast<void>(read_hello(bytes)), SerializationError);
        BOOST_CHECK_THROW(static_cast<void>(read_failure(bytes)), SerializationError);
    }
}

BOOST_AUTO_TEST_CASE(hostile_bytes_are_refused) {
    const Bytes hello_bytes = encoded(hello());
    check_hostile(hello_bytes, hello_bytes.size(), [](const Bytes& bytes) {
        static_cast<void>(read_hello(bytes));
    });
    const Bytes failure_bytes = encoded(failure());
    check_hostile(failure_bytes, failure_bytes.size(), [](const Bytes& bytes) {
        static_cast<void>(rebuild(read_failure(bytes)));
    });
    const Bytes task_bytes = encoded(task());
    check_hostile(task_bytes, task_bytes.size() - 9, [](const Bytes& bytes) {
        static_cast<void>(read_task(bytes));
    });
    const Bytes init_bytes = encoded(Init{.initializer = task()});
    check_hostile(init_bytes, init_bytes.size() - 9, [](const Bytes& bytes) {
        static_cast<void>(read_init(bytes));
    });
}

BOOST_AUTO_TEST_CASE(a_failure_nested_without_end_is_refused) {
    const Failure level{
        .type_name = {}, .what = {}, .remote_trace = {}, .detail = {}, .nested = {}};
    Bytes head = encoded(level);
    // The last eight bytes are the number of nested failures.
    head.at(head.size() - 8) = std::byte{1};
    Bytes bytes;
    for (int i = 0; i < 10'000; ++i) {
        bytes.insert(bytes.end(), head.begin(), head.end());
    }
    BOOST_CHECK_THROW(static_cast<void>(read_failure(bytes)), SerializationError);
}

BOOST_AUTO_TEST_CASE(garbage_is_refused) {
    const unsigned seed = std::random_device()();
    BOOST_TEST_MESSAGE("seed " << seed);
    std::mt19937 random(seed);
    const auto survive = [&](auto read, const Bytes& bytes) {
        try {
            static_cast<void>(read(bytes));
        } catch (const SerializationError&) {
        } catch (...) {
            BOOST_FAIL("another exception, seed " << seed);
        }
    };
    for (int round = 0; round < 20'000; ++round) {
        Bytes bytes(random() % 100);
        for (auto& byte : bytes) {
            // Mostly small numbers, which make lengths that are believed.
            byte = static_cast<std::byte>(random() % 4 == 0 ? random() : random() % 3);
        }
        survive([](const Bytes& input) { return read_hello(input); }, bytes);
        survive([](const Bytes& input) { return read_task(input); }, bytes);
        survive([](const Bytes& input) { return read_init(input); }, bytes);
        survive([](const Bytes& input) { return rebuild(read_failure(input)); }, bytes);
    }
}

BOOST_AUTO_TEST_SUITE_END()
