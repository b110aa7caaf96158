#include "process/image.hpp"

#define BOOST_TEST_MODULE image
#define BOOST_TEST_NO_MAIN
#include <cofutures/codec.hpp>
#include <cofutures/error.hpp>

#include <cofutures/detail/remote_call.hpp>

#include "process/child_process.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <unistd.h>

using namespace cofutures::process;
using cofutures::Decoder;
using cofutures::Encoder;
using cofutures::UnknownTaskError;
using cofutures::detail::RemoteCall;
using cofutures::detail::TaskDescriptor;
namespace asio = boost::asio;

namespace {

constexpr auto add_one = [](int x) {
    return x + 1;
};
using AddOne = RemoteCall<std::remove_const_t<decltype(add_one)>, int>;

int add_two(int x) {
    return x + 2;
}
using CallFunction = RemoteCall<int (*)(int), int>;

TaskRef lambda_ref() {
    return make_task_ref(AddOne::descriptor(), 0);
}
TaskRef function_ref() {
    return make_task_ref(CallFunction::descriptor(), CallFunction::function(&add_two));
}

int call(const TaskRef& ref, int argument) {
    std::vector<std::byte> arguments;
    std::vector<std::byte> result;
    Encoder argument_encoder(arguments);
    cofutures::encode(argument_encoder, argument);
    Decoder decoder(arguments);
    Encoder encoder(result);
    const ResolvedTask task = resolve(ref);
    task.descriptor->thunk(task.function, decoder, encoder);
    Decoder result_decoder(result);
    return cofutures::decode<int>(result_decoder);
}

// A TaskRef as a word, to be an argument of the child.
std::string to_word(const TaskRef& ref) {
    std::vector<std::byte> bytes;
    append_message(bytes, TaskMessage{ref, "", {}});
    std::string word;
    for (const std::byte byte : bytes) {
        word += static_cast<char>('a' + (std::to_integer<int>(byte) >> 4));
        word += static_cast<char>('a' + (std::to_integer<int>(byte) & 15));
    }
    return word;
}
TaskRef from_word(const std::string& word) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < word.size(); i += 2) {
        bytes.push_back(static_cast<std::byte>((word[i] - 'a') << 4 | (word[i + 1] - 'a')));
    }
    return read_task(bytes).ref;
}

// Runs this program again, with another address of everything, and lets it make the call.
ExitStatus call_in_child(const TaskRef& ref) {
    asio::io_context context;
    ChildProcess child(context.get_executor(), {.arguments = {"call", to_word(ref), build_id()}});
    ExitStatus result;
    child.async_wait([&](boost::system::error_code, ExitStatus status) { result = status; });
    context.run();
    return result;
}

bool fails_with(const TaskRef& ref, const std::string& words) {
    try {
        std::ignore = resolve(ref);
    } catch (const UnknownTaskError& error) {
        return std::string(error.what()).find(words) != std::string::npos;
    }
    return false;
}

// A library of the C library's package that no program links.
constexpr const char* rare_library = "libthread_db.so.1";
using RareFunction = int (*)();
using CallRareFunction = RemoteCall<RareFunction>;

struct Library {
    Library() : handle(::dlopen(rare_library, RTLD_NOW)) {}
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;
    ~Library() {
        if (handle != nullptr) {
            ::dlclose(handle);
        }
    }
    [[nodiscard]] TaskRef ref() const {
        return make_task_ref(
            CallRareFunction::descriptor(),
            reinterpret_cast<std::uintptr_t>(::dlsym(handle, "td_init"))
        );
    }

    void* handle;
};

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> words(argv, argv + argc);
    if (words.size() == 4 && words[1] == "call") {
        return words[3] == build_id() ? call(from_word(words[2]), 40) : 1;
    }
    return boost::unit_test::unit_test_main(&init_unit_test, argc, argv);
}

BOOST_AUTO_TEST_SUITE(image)

BOOST_AUTO_TEST_CASE(a_task_of_the_program_needs_no_module) {
    const TaskRef ref = function_ref();
    BOOST_TEST(ref.module == "");
    BOOST_TEST(ref.function_module == "");
    BOOST_TEST(ref.offset != 0U);
    BOOST_TEST(ref.function_offset != 0U);
    BOOST_TEST(ref.check == CallFunction::descriptor().check);
    BOOST_TEST(lambda_ref().function_offset == 0U);
}

BOOST_AUTO_TEST_CASE(what_was_named_is_found_again) {
    BOOST_TEST((resolve(lambda_ref()).descriptor == &AddOne::descriptor()));
    BOOST_TEST(resolve(lambda_ref()).function == 0U);
    BOOST_TEST(call(lambda_ref(), 1) == 2);
    BOOST_TEST(call(function_ref(), 1) == 3);
}

BOOST_AUTO_TEST_CASE(another_process_of_the_program_finds_it) {
    BOOST_TEST((call_in_child(lambda_ref()) == ExitStatus{.exit_code = 41, .signal = {}}));
    BOOST_TEST((call_in_child(function_ref()) == ExitStatus{.exit_code = 42, .signal = {}}));
}

BOOST_AUTO_TEST_CASE(a_function_may_be_in_a_shared_library) {
    const TaskRef ref = make_task_ref(
        CallFunction::descriptor(),
        CallFunction::function(reinterpret_cast<int (*)(int)>(::dlsym(RTLD_DEFAULT, "abs")))
    );
    BOOST_TEST(call(ref, -5) == 5);
    BOOST_TEST((call_in_child(ref).exit_code == 40));
}

BOOST_AUTO_TEST_CASE(a_library_that_is_not_loaded_is_loaded) {
    TaskRef ref;
    {
        const Library library;
        if (library.handle == nullptr) {
            return;  // no such library on this system
        }
        ref = library.ref();
    }
    BOOST_TEST(ref.function_module.find(rare_library) != std::string::npos);
    const ResolvedTask task = resolve(ref);
    BOOST_TEST(reinterpret_cast<RareFunction>(task.function)() == 0);

    TaskRef other_build = ref;
    other_build.function_module += "0";
    BOOST_TEST(fails_with(other_build, "is not the build that the parent uses"));
}

BOOST_AUTO_TEST_CASE(a_library_that_cannot_be_loaded_is_an_unknown_task) {
    TaskRef ref = function_ref();
    ref.function_module = "/does/not/exist.so|0123";
    BOOST_TEST(fails_with(ref, "\"/does/not/exist.so\", which this worker cannot load"));
    ref = function_ref();
    ref.module = "/does/not/exist.so|0123";
    BOOST_TEST(fails_with(ref, "which this worker cannot load"));
}

BOOST_AUTO_TEST_CASE(a_library_of_another_build_is_refused_and_the_same_one_found_anywhere) {
    TaskRef ref = make_task_ref(
        CallFunction::descriptor(),
        CallFunction::function(reinterpret_cast<int (*)(int)>(::dlsym(RTLD_DEFAULT, "abs")))
    );
    const std::size_t bar = ref.function_module.rfind('|');
    TaskRef elsewhere = ref;
    elsewhere.function_module = "/elsewhere/library.so" + ref.function_module.substr(bar);
    BOOST_TEST(resolve(elsewhere).function == resolve(ref).function);
    ref.function_module = ref.function_module.substr(0, bar) + "|0123";
    BOOST_TEST(fails_with(ref, "is not the build"));
}

BOOST_AUTO_TEST_CASE(what_is_in_the_program_is_unknown_to_another_program) {
    BOOST_CHECK_THROW(static_cast<void>(resolve(lambda_ref(), false)), UnknownTaskError);
    BOOST_CHECK_THROW(static_cast<void>(resolve(function_ref(), false)), UnknownTaskError);
}

BOOST_AUTO_TEST_CASE(a_place_without_the_descriptor_is_an_unknown_task) {
    const TaskRef good = lambda_ref();
    const std::string words = "holds no such task";
    for (const std::uint64_t offset :
         {std::uint64_t{0},
          good.offset + 1,
          good.offset + alignof(TaskDescriptor),
          good.offset - alignof(TaskDescriptor),
          good.offset + (std::uint64_t{1} << 40),
          ~std::uint64_t{0},
          ~std::uint64_t{0} - sizeof(TaskDescriptor)}) {
        TaskRef ref = good;
        ref.offset = offset;
        BOOST_TEST(fails_with(ref, words), "offset " << offset);
    }
}

BOOST_AUTO_TEST_CASE(another_check_is_an_unknown_task) {
    TaskRef ref = lambda_ref();
    ++ref.check;
    BOOST_TEST(fails_with(ref, "another build of the program"));
}

BOOST_AUTO_TEST_CASE(a_function_outside_of_code_is_an_unknown_task) {
    TaskRef ref = function_ref();
    ref.function_offset = ref.offset;  // data
    BOOST_TEST(fails_with(ref, "holds no such task"));
    ref.function_offset = ~std::uint64_t{0};
    BOOST_TEST(fails_with(ref, "holds no such task"));
}

BOOST_AUTO_TEST_CASE(a_descriptor_that_is_no_part_of_the_program_cannot_be_named) {
    const TaskDescriptor local = AddOne::descriptor();
    BOOST_CHECK_THROW(std::ignore = make_task_ref(local, 0), UnknownTaskError);
    BOOST_CHECK_THROW(
        std::ignore = make_task_ref(AddOne::descriptor(), reinterpret_cast<std::uintptr_t>(&local)),
        UnknownTaskError
    );
}

BOOST_AUTO_TEST_CASE(the_build_id_is_hexadecimal) {
    BOOST_TEST(build_id().find_first_not_of("0123456789abcdef") == std::string::npos);
    BOOST_TEST(build_id() == build_id());
}

BOOST_AUTO_TEST_CASE(libraries_may_come_and_go_meanwhile) {
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::thread loader([&] {
        while (!stop) {
            const Library library;
            if (library.handle != nullptr && library.ref().function_module.empty()) {
                ++wrong;
            }
        }
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 500; ++i) {
                wrong += call(function_ref(), i) != i + 2;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    stop = true;
    loader.join();
    BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_SUITE_END()
