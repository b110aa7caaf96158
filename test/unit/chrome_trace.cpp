#include <cofutures/chrome_trace.hpp>

#define BOOST_TEST_MODULE chrome_trace
#include <boost/test/unit_test.hpp>

#include "support/leak_check.hpp"

#include <boost/json/src.hpp>

#include <chrono>
#include <cstdint>
#include <ios>
#include <locale>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using cofutures::ChromeTrace;
using cofutures::TaskEvent;
using cofutures::TaskOutcome;
using cofutures::test::LeakCheck;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

constexpr std::chrono::steady_clock::time_point start{1h};

TaskEvent event(std::uint64_t task, std::string_view name, std::string_view worker, auto after) {
    return {.task = task, .name = name, .worker = worker, .time = start + after};
}

// A task's whole life: queued at once, begun after 10 microseconds, ended after 30.
void observe(ChromeTrace& trace, std::uint64_t task, std::string_view name, TaskOutcome outcome) {
    trace.task_queued(event(task, name, "", 0us));
    trace.task_started(event(task, name, "pool_0", 10us));
    trace.task_finished(event(task, name, "pool_0", 30us), outcome);
}

std::vector<json::object> events_of(const ChromeTrace& trace, std::string_view phase) {
    std::ostringstream text;
    trace.write(text);
    std::vector<json::object> found;
    const json::value whole = json::parse(text.str());
    for (const json::value& one : whole.at("traceEvents").as_array()) {
        if (one.at("ph").as_string() == phase) {
            found.push_back(one.as_object());
        }
    }
    return found;
}

BOOST_AUTO_TEST_CASE(empty_trace_is_json_that_names_itself) {
    const ChromeTrace trace("nothing yet");
    const auto names = events_of(trace, "M");
    BOOST_REQUIRE(!names.empty());
    BOOST_TEST(names.front().at("args").at("name").as_string() == "nothing yet");
    BOOST_TEST(events_of(trace, "X").empty());
}

BOOST_AUTO_TEST_CASE(finished_task_is_a_span_on_its_worker) {
    ChromeTrace trace;
    observe(trace, 7, "resize", TaskOutcome::returned);
    const auto spans = events_of(trace, "X");
    BOOST_REQUIRE(spans.size() == 1U);
    BOOST_TEST(spans[0].at("name").as_string() == "resize");
    BOOST_TEST(spans[0].at("ts").as_double() == 10.0);
    BOOST_TEST(spans[0].at("dur").as_double() == 20.0);
    BOOST_TEST(spans[0].at("args").at("outcome").as_string() == "returned");
    BOOST_TEST(spans[0].at("args").at("queued_us").as_double() == 10.0);
    bool named = false;
    for (const auto& row : events_of(trace, "M")) {
        named |= row.at("name").as_string() == "thread_name" &&
                 row.at("tid") == spans[0].at("tid") &&
                 row.at("args").at("name").as_string() == "pool_0";
    }
    BOOST_TEST(named);
}

BOOST_AUTO_TEST_CASE(time_in_the_queue_is_an_asynchronous_span) {
    ChromeTrace trace;
    observe(trace, 7, "resize", TaskOutcome::returned);
    const auto begins = events_of(trace, "b");
    const auto ends = events_of(trace, "e");
    BOOST_REQUIRE(begins.size() == 1U);
    BOOST_REQUIRE(ends.size() == 1U);
    BOOST_TEST((begins[0].at("id") == ends[0].at("id")));
    BOOST_TEST(begins[0].at("ts").as_double() == 0.0);
    BOOST_TEST(ends[0].at("ts").as_double() == 10.0);
}

BOOST_AUTO_TEST_CASE(cancelled_task_only_waited) {
    ChromeTrace trace;
    trace.task_queued(event(1, "late", "", 0us));
    trace.task_finished(event(1, "late", "", 5us), TaskOutcome::cancelled);
    BOOST_TEST(events_of(trace, "X").empty());
    const auto ends = events_of(trace, "e");
    BOOST_REQUIRE(ends.size() == 1U);
    BOOST_TEST(ends[0].at("ts").as_double() == 5.0);
}

BOOST_AUTO_TEST_CASE(task_that_has_not_finished_is_left_out) {
    ChromeTrace trace;
    trace.task_queued(event(1, "first", "", 0us));
    observe(trace, 2, "second", TaskOutcome::raised);
    const auto spans = events_of(trace, "X");
    BOOST_REQUIRE(spans.size() == 1U);
    BOOST_TEST(spans[0].at("args").at("outcome").as_string() == "raised");
}

BOOST_AUTO_TEST_CASE(number_of_a_finished_task_may_come_again) {
    ChromeTrace trace;
    observe(trace, 7, "first", TaskOutcome::returned);
    observe(trace, 7, "second", TaskOutcome::returned);
    BOOST_TEST(events_of(trace, "X").size() == 2U);
}

BOOST_AUTO_TEST_CASE(names_are_escaped) {
    ChromeTrace trace;
    const std::string name = "a \"b\" \\c\n\x01\xc3\xa4";
    observe(trace, 1, name, TaskOutcome::returned);
    const auto spans = events_of(trace, "X");
    BOOST_REQUIRE(spans.size() == 1U);
    BOOST_TEST(std::string(spans[0].at("name").as_string()) == name);
}

BOOST_AUTO_TEST_CASE(what_is_no_text_does_not_spoil_the_rest) {
    ChromeTrace trace;
    // A lone byte, one whose next does not belong to it, what is too long, and what is cut off.
    observe(
        trace,
        1,
        "a\xff"
        "b\xc3"
        "c\xc0\xaf"
        "d\xe2\x82",
        TaskOutcome::returned
    );
    const std::string lost = "\xef\xbf\xbd";
    const auto spans = events_of(trace, "X");
    BOOST_REQUIRE(spans.size() == 1U);
    BOOST_TEST(
        std::string(spans[0].at("name").as_string()) ==
        "a" + lost + "b" + lost + "c" + lost + lost + "d" + lost + lost
    );
}

// Digits in groups and a comma, as in many countries.
class OtherNumbers : public std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\1"; }
};

BOOST_AUTO_TEST_CASE(numbers_are_those_of_json_whatever_the_stream_writes) {
    ChromeTrace trace;
    for (std::uint64_t task = 1; task != 30; ++task) {
        trace.task_queued(event(task, "x", "", 0us));
        trace.task_started(event(task, "x", "pool_0", 1234us));
        trace.task_finished(event(task, "x", "pool_0", 5678us), TaskOutcome::returned);
    }
    std::ostringstream out;
    out.imbue(std::locale(std::locale::classic(), new OtherNumbers));
    out << std::hex << std::showpos;
    trace.write(out);
    std::ostringstream plain;
    trace.write(plain);
    BOOST_TEST(out.str() == plain.str());
    BOOST_TEST(json::parse(plain.str()).is_object());
}

BOOST_AUTO_TEST_CASE(stream_keeps_its_format) {
    ChromeTrace trace;
    observe(trace, 1, "x", TaskOutcome::returned);
    std::ostringstream out;
    trace.write(out);
    out.str({});
    out << 0.5;
    BOOST_TEST(out.str() == "0.5");
}

}  // namespace
