#include <cofutures/process_pool_executor.hpp>

#define BOOST_TEST_MODULE worker_output
#define BOOST_TEST_NO_MAIN
#include "process/pool_test.hpp"
#include "support/leak_check.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <set>
#include <string>
#include <vector>

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

/// A WorkerOutput that lasts.
struct Written {
    WorkerId worker;
    bool is_error = false;
    std::string task;
    std::string line;
};

/// What the workers of a pool wrote.
class Log {
public:
    WorkerOutputHandler handler() {
        return [this](const WorkerOutput& output) {
            const std::lock_guard lock(mutex_);
            lines_.push_back(
                {output.worker, output.is_error, std::string(output.task), std::string(output.line)}
            );
        };
    }

    [[nodiscard]] std::vector<Written> lines() const {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

private:
    mutable std::mutex mutex_;  // guards lines_
    std::vector<Written> lines_;
};

pid_t say(const std::string& text) {
    std::printf("%s\n", text.c_str());
    std::cerr << "error: " << text << '\n';
    std::cout << text << " again\n";
    return ::getpid();
}

void write_all(int stream, const std::string& text) {
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t size = ::write(stream, text.data() + done, text.size() - done);
        if (size < 0) {
            ::_exit(70);
        }
        done += static_cast<std::size_t>(size);
    }
}

void write_and_die(int lines) {
    std::string text;
    for (int i = 0; i < lines; ++i) {
        text += "line " + std::to_string(i) + '\n';
    }
    write_all(STDOUT_FILENO, text + "out: the last");
    write_all(STDERR_FILENO, text + "err: the last");
    ::raise(SIGKILL);
}

/// Writes without end, once it has come to the gate.
void flood(const GateName& gate) {
    arrive(gate);
    const std::string noise = std::string(1000, 'x') + '\n';
    for (;;) {
        write_all(STDOUT_FILENO, noise);
        write_all(STDERR_FILENO, std::string(1000, '\n'));
    }
}

int add(int a, int b) {
    return a + b;
}

void close_streams() {
    ::close(STDIN_FILENO);
    ::close(STDOUT_FILENO);
    ::close(STDERR_FILENO);
}

/// Leaves behind a process that holds the worker's streams; gives its id.
pid_t leave_a_holder() {
    const pid_t child = ::fork();
    if (child == 0) {
        for (;;) {
            ::pause();
        }
    }
    std::puts("left");
    return child;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(worker_output)

BOOST_AUTO_TEST_CASE(lines_of_both_streams_arrive_before_the_result_and_say_whose_they_are) {
    Log log;
    ProcessPoolExecutor pool({.max_workers = 1, .on_worker_output = log.handler()});
    const pid_t pid = pool.submit<&say>("hello").result(generous);
    const auto lines = log.lines();
    BOOST_REQUIRE(lines.size() == 3U);
    std::vector<std::string> standard;
    for (const Written& written : lines) {
        BOOST_TEST(written.worker.number == 1U);
        BOOST_TEST(written.worker.pid == pid);
        BOOST_TEST(written.task.find("say") != std::string::npos);
        if (written.is_error) {
            BOOST_TEST(written.line == "error: hello");
        } else {
            standard.push_back(written.line);
        }
    }
    const std::vector<std::string> expected{"hello", "hello again"};
    BOOST_TEST(standard == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_handler_may_take_the_worker_and_the_line_alone) {
    std::atomic<int> lines = 0;
    ProcessPoolExecutor
        pool({.max_workers = 2, .on_worker_output = [&](WorkerId worker, std::string_view line) {
                  lines += worker.number != 0 && !line.empty() ? 1 : 0;
              }});
    pool.submit(say, "x").result(generous);
    BOOST_TEST(lines == 3);
}

BOOST_AUTO_TEST_CASE(a_line_without_end_arrives_when_the_worker_leaves) {
    Log log;
    ProcessPoolExecutor pool({.max_workers = 1, .on_worker_output = log.handler()});
    pool.submit([] { std::printf("begun"); }).result(generous);
    pool.shutdown();
    BOOST_REQUIRE(log.lines().size() == 1U);
    BOOST_TEST(log.lines().front().line == "begun");
    BOOST_TEST(log.lines().front().task == "");
}

BOOST_AUTO_TEST_CASE(what_a_worker_wrote_before_it_died_arrives_before_its_end_is_told) {
    Log log;
    ProcessPoolExecutor pool({.max_workers = 1, .on_worker_output = log.handler()});
    constexpr int count = 1000;
    const auto error = error_of<BrokenProcessPool>(pool.submit(write_and_die, count));
    BOOST_REQUIRE(error);
    const auto lines = log.lines();
    BOOST_TEST(lines.size() == 2U * (count + 1));
    for (const std::string last : {"out: the last", "err: the last"}) {
        BOOST_TEST((std::ranges::count(lines, last, &Written::line) == 1));
    }
    // The error holds what the worker wrote last to its error stream.
    const std::string tail = error->worker().stderr_tail;
    BOOST_TEST(tail.size() <= 4096U);
    BOOST_TEST(tail.size() > 3000U);
    BOOST_TEST(tail.starts_with("line "));
    BOOST_TEST(tail.ends_with("\nline 999\nerr: the last"));
    BOOST_TEST(std::string(error->what()).ends_with("err: the last"));
}

BOOST_AUTO_TEST_CASE(a_flood_holds_up_no_result) {
    std::atomic<std::size_t> lines = 0;
    ProcessPoolExecutor pool({.max_workers = 2, .on_worker_output = [&](const WorkerOutput&) {
                                  ++lines;
                              }});
    ProcessGate gate;
    auto noise = pool.submit(flood, gate.name());
    gate.wait_for_arrivals(1);
    for (int i = 0; i < 200; ++i) {
        BOOST_TEST(pool.submit(add, i, 1).result(generous) == i + 1);
    }
    pool.kill_workers();
    error_of<BrokenProcessPool>(noise);
    pool.shutdown();
    BOOST_TEST(lines > 0U);
}

BOOST_AUTO_TEST_CASE(a_line_longer_than_64_kib_arrives_in_parts) {
    Log log;
    ProcessPoolExecutor pool({.max_workers = 1, .on_worker_output = log.handler()});
    pool.submit([] { write_all(STDOUT_FILENO, std::string(200'000, 'x') + "\n"); }
    ).result(generous);
    std::size_t size = 0;
    for (const Written& written : log.lines()) {
        BOOST_TEST(written.line.size() <= 65'536U);
        size += written.line.size();
    }
    BOOST_TEST(size == 200'000U);
    BOOST_TEST(log.lines().size() == 4U);
}

BOOST_AUTO_TEST_CASE(a_worker_may_close_its_streams) {
    Log log;
    ProcessPoolExecutor pool({.max_workers = 1, .on_worker_output = log.handler()});
    pool.submit(close_streams).result(generous);
    BOOST_TEST(pool.submit(add, 1, 2).result(generous) == 3);
    BOOST_TEST(log.lines().empty());
}

BOOST_AUTO_TEST_CASE(a_process_that_holds_the_streams_does_not_hold_up_the_end) {
    Log log;
    pid_t holder = 0;
    {
        ProcessPoolExecutor pool({.max_workers = 1, .on_worker_output = log.handler()});
        holder = pool.submit(leave_a_holder).result(generous);
        pool.shutdown();
        BOOST_REQUIRE(log.lines().size() == 1U);
        BOOST_TEST(log.lines().front().line == "left");
    }
    ::kill(holder, SIGKILL);
    BOOST_TEST(wait_gone(holder));
}

BOOST_AUTO_TEST_CASE(a_handler_that_throws_is_reported_and_called_again) {
    static std::atomic<int> reported;
    reported = 0;
    set_callback_error_handler([](std::exception_ptr) noexcept { ++reported; });
    ProcessPoolExecutor pool({.max_workers = 1, .on_worker_output = [](const WorkerOutput&) {
                                  throw 1;
                              }});
    pool.submit(say, "x").result(generous);
    set_callback_error_handler(nullptr);
    BOOST_TEST(reported == 3);
}

BOOST_AUTO_TEST_CASE(a_handler_may_use_the_pool) {
    std::mutex mutex;
    std::vector<Future<int>> answers;  // guarded by mutex
    ProcessPoolExecutor pool({.max_workers = 1, .on_worker_output = [&](const WorkerOutput&) {
                                  const std::lock_guard lock(mutex);
                                  answers.push_back(pool.submit(add, 1, 1));
                              }});
    pool.submit([] { std::puts("x"); }).result(generous);
    const std::lock_guard lock(mutex);
    BOOST_REQUIRE(answers.size() == 1U);
    BOOST_TEST(answers.front().result(generous) == 2);
}

BOOST_AUTO_TEST_SUITE_END()
