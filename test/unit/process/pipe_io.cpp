#include "process/pipe_io.hpp"

#include "process/child_process.hpp"
#include "support/gate.hpp"

#define BOOST_TEST_MODULE pipe_io
#include <boost/system/errc.hpp>
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <span>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace cofutures::process;
using boost::system::error_code;
namespace errc = boost::system::errc;

namespace {

std::vector<std::byte> bytes(std::size_t count) {
    std::vector<std::byte> result(count);
    for (std::size_t i = 0; i < count; ++i) {
        result[i] = static_cast<std::byte>(i * 7);
    }
    return result;
}

std::size_t read_some(int descriptor, std::span<std::byte> room) {
    error_code error;
    const std::size_t size = read_now(descriptor, room, error);
    BOOST_TEST(!error);
    return size;
}

bool is_sigpipe_pending() {
    sigset_t pending;
    ::sigpending(&pending);
    return ::sigismember(&pending, SIGPIPE) == 1;
}

std::atomic<int> signals{0};

}  // namespace

BOOST_AUTO_TEST_SUITE(pipe_io)

BOOST_AUTO_TEST_CASE(what_is_written_can_be_read) {
    const Pipe pipe = make_pipe();
    error_code error;
    const auto sent = bytes(1000);
    BOOST_TEST(write_now(pipe.write_end.get(), sent, error) == 1000U);
    BOOST_TEST(!error);
    BOOST_TEST(readable_now(pipe.read_end.get()) == 1000U);
    std::vector<std::byte> received(2000);
    BOOST_TEST(read_some(pipe.read_end.get(), received) == 1000U);
    received.resize(1000);
    BOOST_TEST((received == sent));
    BOOST_TEST(readable_now(pipe.read_end.get()) == 0U);
}

BOOST_AUTO_TEST_CASE(nothing_to_write_is_written) {
    const Pipe pipe = make_pipe();
    error_code error;
    BOOST_TEST(write_now(pipe.write_end.get(), {}, error) == 0U);
    BOOST_TEST(!error);
}

BOOST_AUTO_TEST_CASE(a_full_pipe_takes_what_it_can_and_says_would_block) {
    const Pipe pipe = make_pipe();
    error_code error;
    set_non_blocking(pipe.write_end.get(), error);
    BOOST_REQUIRE(!error);
    const auto sent = bytes(std::size_t{8} << 20);
    const std::size_t written = write_now(pipe.write_end.get(), sent, error);
    BOOST_TEST((error == errc::operation_would_block));
    BOOST_TEST(written > 0U);
    BOOST_TEST(written < sent.size());
    BOOST_TEST(readable_now(pipe.read_end.get()) == written);
    BOOST_TEST(write_now(pipe.write_end.get(), sent, error) == 0U);
    BOOST_TEST((error == errc::operation_would_block));
}

BOOST_AUTO_TEST_CASE(a_blocking_pipe_takes_all) {
    const Pipe pipe = make_pipe();
    const auto sent = bytes(std::size_t{8} << 20);
    std::vector<std::byte> received(sent.size());
    std::thread reader([&] {
        // Without Boost.Test's macros, which are for one thread.
        error_code read_error;
        for (std::size_t size = 0; size < received.size() && !read_error;) {
            size += read_now(pipe.read_end.get(), std::span(received).subspan(size), read_error);
        }
    });
    error_code error;
    BOOST_TEST(write_now(pipe.write_end.get(), sent, error) == sent.size());
    BOOST_TEST(!error);
    reader.join();
    BOOST_TEST((received == sent));
}

BOOST_AUTO_TEST_CASE(an_empty_pipe_would_block) {
    const Pipe pipe = make_pipe();
    error_code error;
    set_non_blocking(pipe.read_end.get(), error);
    std::vector<std::byte> room(10);
    BOOST_TEST(read_now(pipe.read_end.get(), room, error) == 0U);
    BOOST_TEST((error == errc::operation_would_block));
}

BOOST_AUTO_TEST_CASE(the_end_of_the_stream_is_no_error) {
    Pipe pipe = make_pipe();
    pipe.write_end = {};
    std::vector<std::byte> room(10);
    BOOST_TEST(read_some(pipe.read_end.get(), room) == 0U);
}

BOOST_AUTO_TEST_CASE(a_bad_descriptor_is_an_error) {
    error_code error;
    set_non_blocking(-1, error);
    BOOST_TEST((error == errc::bad_file_descriptor));
    std::vector<std::byte> room(10);
    BOOST_TEST(read_now(-1, room, error) == 0U);
    BOOST_TEST((error == errc::bad_file_descriptor));
    BOOST_TEST(write_now(-1, room, error) == 0U);
    BOOST_TEST((error == errc::bad_file_descriptor));
    BOOST_TEST(readable_now(-1) == 0U);
}

BOOST_AUTO_TEST_CASE(a_reader_that_is_gone_is_an_error_and_no_signal) {
    Pipe pipe = make_pipe();
    pipe.read_end = {};
    const auto before = std::signal(SIGPIPE, [](int) { ++signals; });
    error_code error;
    BOOST_TEST(write_now(pipe.write_end.get(), bytes(10), error) == 0U);
    BOOST_TEST((error == errc::broken_pipe));
    BOOST_TEST(signals == 0);
    BOOST_TEST(!is_sigpipe_pending());
    std::signal(SIGPIPE, before);
}

BOOST_AUTO_TEST_CASE(a_sigpipe_that_was_pending_stays_pending) {
    const auto before = std::signal(SIGPIPE, [](int) { ++signals; });
    sigset_t sigpipe;
    sigset_t mask;
    ::sigemptyset(&sigpipe);
    ::sigaddset(&sigpipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &sigpipe, &mask);
    ::pthread_kill(::pthread_self(), SIGPIPE);
    Pipe pipe = make_pipe();
    pipe.read_end = {};
    error_code error;
    write_now(pipe.write_end.get(), bytes(10), error);
    BOOST_TEST((error == errc::broken_pipe));
    BOOST_TEST(is_sigpipe_pending());
    signals = 0;
    ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
    BOOST_TEST(signals == 1);
    std::signal(SIGPIPE, before);
}

BOOST_AUTO_TEST_CASE(all_signals_are_blocked_for_a_while_and_in_threads_started_then) {
    const auto blocks = [](int signal) {
        sigset_t mask;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        return ::sigismember(&mask, signal) == 1;
    };
    cofutures::test::Gate over;
    bool blocked_in_thread = false;
    std::thread thread;
    {
        const AllSignalsBlocked blocked;
        BOOST_TEST(blocks(SIGUSR1));
        BOOST_TEST(blocks(SIGTERM));
        thread = std::thread([&] {
            over.wait();
            blocked_in_thread = blocks(SIGUSR1);
        });
    }
    BOOST_TEST(!blocks(SIGUSR1));
    over.open();
    thread.join();
    BOOST_TEST(blocked_in_thread);
}

BOOST_AUTO_TEST_SUITE_END()
