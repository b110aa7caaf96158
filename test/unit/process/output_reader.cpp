#include "process/output_reader.hpp"

#define BOOST_TEST_MODULE output_reader
#include "support/gate.hpp"
#include "support/leak_check.hpp"

#include <cofutures/future.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/test/unit_test.hpp>

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

using namespace cofutures::process;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

using Lines = std::vector<std::string>;

// What the splitter makes of the pieces.
Lines split(const std::vector<std::string>& pieces) {
    Lines lines;
    const auto add = [&](std::string_view line) {
        lines.emplace_back(line);
    };
    LineSplitter splitter;
    for (const std::string& piece : pieces) {
        splitter.feed(piece, add);
    }
    splitter.finish(add);
    return lines;
}

void write_text(const FileDescriptor& to, std::string_view text) {
    BOOST_REQUIRE(::write(to.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// A reader of a pipe, and what it reported.
struct Listener {
    explicit Listener(std::size_t tail_size = 0)
        : Listener(make_pipe(PipeSize::usual), tail_size) {}
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener() {
        reader->stop();
        context.restart();
        context.poll();
    }

    // Runs until so many lines are there.
    void run_until(std::size_t count) {
        context.restart();
        while (lines.size() < count && context.run_one_for(generous) != 0) {
        }
        BOOST_REQUIRE(lines.size() >= count);
    }

    boost::asio::io_context context;
    FileDescriptor to;
    std::shared_ptr<OutputReader> reader;
    Lines lines;

private:
    Listener(Pipe pipe, std::size_t tail_size)
        : to(std::move(pipe.write_end)),
          reader(std::make_shared<OutputReader>(
              context.get_executor(), std::move(pipe.read_end), tail_size
          )) {
        reader->listen([this](std::string_view line) { lines.emplace_back(line); });
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(output_reader)

// --- lines ---------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(text_is_cut_at_the_ends_of_lines_however_it_arrives) {
    const Lines expected{"one", "", "three", "last"};
    const std::string text = "one\n\nthree\nlast";
    BOOST_TEST(split({text}) == expected, boost::test_tools::per_element());
    for (std::size_t at = 0; at <= text.size(); ++at) {
        BOOST_TEST(
            split({text.substr(0, at), text.substr(at)}) == expected,
            boost::test_tools::per_element()
        );
    }
    std::vector<std::string> letters;
    for (const char letter : text) {
        letters.emplace_back(1, letter);
    }
    BOOST_TEST(split(letters) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(no_text_is_no_line_and_an_ended_line_is_one) {
    BOOST_TEST(split({}).empty());
    BOOST_TEST(split({"a\n"}) == Lines{"a"}, boost::test_tools::per_element());
    BOOST_TEST(split({"a\n", "\n"}) == (Lines{"a", ""}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_line_of_full_length_is_whole_and_a_longer_one_is_cut) {
    const std::string full(LineSplitter::longest, 'x');
    BOOST_TEST(
        split({full + "\n" + "y\n"}) == (Lines{full, "y"}), boost::test_tools::per_element()
    );
    BOOST_TEST(split({full, "\ny"}) == (Lines{full, "y"}), boost::test_tools::per_element());
    BOOST_TEST(split({full + "yz\n"}) == (Lines{full, "yz"}), boost::test_tools::per_element());
    BOOST_TEST(split({"x", full}) == (Lines{full, "x"}), boost::test_tools::per_element());
    BOOST_TEST(
        split({full + full + full}) == (Lines{full, full, full}), boost::test_tools::per_element()
    );
}

// --- reading -------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(lines_are_reported_when_they_are_written) {
    Listener listener;
    write_text(listener.to, "one\ntw");
    listener.run_until(1);
    BOOST_TEST(listener.lines == Lines{"one"}, boost::test_tools::per_element());
    write_text(listener.to, "o\n");
    listener.run_until(2);
    BOOST_TEST(listener.lines.back() == "two");
}

BOOST_AUTO_TEST_CASE(the_end_of_the_stream_ends_the_reading) {
    Listener listener;
    write_text(listener.to, "one\n");
    listener.to = {};
    listener.context.run_for(generous);
    BOOST_TEST(listener.context.stopped());
    BOOST_TEST(listener.lines == Lines{"one"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(catching_up_needs_no_turn_of_the_executor) {
    Listener listener;
    write_text(listener.to, "one\ntwo\nbegun");
    listener.reader->catch_up();
    BOOST_TEST(listener.lines == (Lines{"one", "two"}), boost::test_tools::per_element());
    listener.reader->catch_up();
    write_text(listener.to, "\n");
    listener.run_until(3);
}

BOOST_AUTO_TEST_CASE(the_last_line_needs_no_end) {
    Listener listener;
    write_text(listener.to, "one\nlast");
    listener.reader->finish();  // although somebody else holds the pipe
    BOOST_TEST(listener.lines == (Lines{"one", "last"}), boost::test_tools::per_element());
    listener.context.run_for(generous);
    BOOST_TEST(listener.context.stopped());
}

BOOST_AUTO_TEST_CASE(a_turn_takes_a_part_of_a_flood) {
    Listener listener;
    write_text(listener.to, std::string(60'000, '\n'));
    listener.context.run_one_for(generous);
    BOOST_TEST(listener.lines.size() < 10'000U);
    bool had_a_turn = false;
    boost::asio::post(listener.context, [&] { had_a_turn = true; });
    while (!had_a_turn && listener.context.run_one_for(generous) != 0) {
    }
    BOOST_TEST(listener.lines.size() < 60'000U);
    listener.run_until(60'000);
}

BOOST_AUTO_TEST_CASE(what_a_handler_throws_is_reported_and_the_next_line_comes) {
    static int reported;
    reported = 0;
    cofutures::set_callback_error_handler([](std::exception_ptr) noexcept { ++reported; });
    Listener listener;
    int lines = 0;
    listener.reader->listen([&](std::string_view) {
        ++lines;
        throw std::runtime_error("no");
    });
    write_text(listener.to, "one\ntwo\n");
    listener.reader->catch_up();
    cofutures::set_callback_error_handler(nullptr);
    BOOST_TEST(lines == 2);
    BOOST_TEST(reported == 2);
}

BOOST_AUTO_TEST_CASE(the_tail_is_the_last_lines_that_fit) {
    Listener listener(10);
    write_text(listener.to, "one\n");
    listener.reader->catch_up();
    BOOST_TEST(listener.reader->tail() == "one\n");
    write_text(listener.to, "two\nthree\nfour\n");
    listener.reader->catch_up();
    BOOST_TEST(listener.reader->tail() == "four\n");
    write_text(listener.to, std::string(100, 'x'));
    listener.reader->catch_up();
    BOOST_TEST(listener.reader->tail() == std::string(10, 'x'));
}

BOOST_AUTO_TEST_SUITE_END()
