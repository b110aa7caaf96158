#include "process/worker_channel.hpp"

#include "process/pipe_io.hpp"
#include "process/worker.hpp"

#define BOOST_TEST_MODULE worker_channel
#define BOOST_TEST_NO_MAIN
#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/wait_to_be_killed.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace cofutures::process;
using namespace cofutures::test;
using boost::system::error_code;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

// --- the worker ----------------------------------------------------------------------------------

namespace {

constexpr const char* behaviour_variable = "COFUTURES_TEST_BEHAVIOUR";

void send(int out, const std::vector<std::byte>& bytes) {
    error_code error;
    write_now(out, bytes, error);
}

std::vector<std::byte> value_frame(std::uint64_t task, std::span<const std::byte> payload = {}) {
    std::vector<std::byte> bytes;
    append_frame(bytes, FrameKind::value, task, {payload});
    return bytes;
}

// Sends every frame back as a value, until it is told to stop.
int echo(int in, int out) {
    FrameReader reader;
    for (;;) {
        while (const auto frame = reader.next()) {
            if (frame->kind == FrameKind::stop) {
                return 0;
            }
            send(out, value_frame(frame->task_id, frame->payload));
        }
        error_code error;
        const std::size_t size = read_now(in, reader.prepare(), error);
        if (size == 0) {
            return 1;
        }
        reader.commit(size);
    }
}

int behave(const std::string& behaviour, int in, int out) {
    if (behaviour == "echo") {
        return echo(in, out);
    }
    if (behaviour == "send and exit") {
        for (std::uint64_t task = 0; task < 1000; ++task) {
            send(out, value_frame(task));
        }
        return 3;
    }
    if (behaviour == "half a frame") {
        auto bytes = value_frame(1, std::vector<std::byte>(100));
        bytes.resize(50);
        send(out, bytes);
        return 4;
    }
    if (behaviour == "close") {
        ::close(out);
    }
    if (behaviour == "ignore SIGTERM") {
        std::signal(SIGTERM, SIG_IGN);
        send(out, value_frame(1));
    }
    wait_to_be_killed();
}

// --- the pool's side -----------------------------------------------------------------------------

/// A channel to a worker of a given behaviour, and what it reported.
struct Talk {
    explicit Talk(const std::string& behaviour)
        : channel(WorkerChannel::start(
              context.get_executor(), {.launcher = {"env", behaviour_variable + ("=" + behaviour)}}
          )) {
        channel->listen({
            .received =
                [this](FrameReader& reader) {
                    while (const auto frame = reader.next()) {
                        tasks.push_back(frame->task_id);
                        bytes.insert(bytes.end(), frame->payload.begin(), frame->payload.end());
                        in_frame = reader.in_frame();
                        if (on_frame) {
                            on_frame();
                        }
                    }
                    in_frame = reader.in_frame();
                },
            .gone =
                [this](const ExitStatus& status) {
                    BOOST_TEST(!gone);
                    gone = status;
                },
        });
    }

    void send_task(std::uint64_t task, std::span<const std::byte> payload) const {
        std::vector<std::byte> frame;
        append_frame(frame, FrameKind::task, task, {payload});
        channel->enqueue(std::move(frame));
    }
    void send_stop() const {
        std::vector<std::byte> frame;
        append_frame(frame, FrameKind::stop, 0);
        channel->enqueue(std::move(frame));
    }

    /// Until nothing is left to be done, which is after the worker's end.
    ExitStatus run() {
        context.restart();
        context.run_for(generous);
        BOOST_REQUIRE(gone);
        return *gone;
    }

    boost::asio::io_context context{1};
    std::shared_ptr<WorkerChannel> channel;
    std::vector<std::uint64_t> tasks;
    std::vector<std::byte> bytes;
    std::function<void()> on_frame;
    bool in_frame = false;
    std::optional<ExitStatus> gone;
};

}  // namespace

int main(int argc, char** argv) {
    if (const char* behaviour = std::getenv(behaviour_variable)) {
        const std::string pipes = argv[argc - 1];
        const std::size_t comma = pipes.find(',');
        return behave(
            behaviour, std::stoi(pipes.substr(0, comma)), std::stoi(pipes.substr(comma + 1))
        );
    }
    return boost::unit_test::unit_test_main(&init_unit_test, argc, argv);
}

BOOST_AUTO_TEST_SUITE(worker_channel)

BOOST_AUTO_TEST_CASE(sends_frames_and_reports_the_answers_and_the_end) {
    Talk talk("echo");
    talk.send_task(5, {});
    talk.send_task(6, {});
    talk.send_stop();
    talk.channel->flush();
    const ExitStatus status = talk.run();
    BOOST_TEST((status.exit_code == 0));
    BOOST_TEST((talk.tasks == std::vector<std::uint64_t>{5, 6}));
}

BOOST_AUTO_TEST_CASE(nothing_is_written_before_flush) {
    Talk talk("echo");
    talk.send_task(5, {});
    talk.send_stop();
    talk.context.poll();
    BOOST_TEST(talk.tasks.empty());
    talk.channel->flush();
    talk.run();
    BOOST_TEST(talk.tasks.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_frame_larger_than_the_pipe_passes_both_ways) {
    Talk talk("echo");
    std::vector<std::byte> payload(std::size_t{16} << 20);
    for (std::size_t i = 0; i < payload.size(); ++i) {
        payload[i] = static_cast<std::byte>(i * 31);
    }
    talk.send_task(1, payload);
    talk.channel->flush();
    talk.send_stop();
    talk.channel->flush();
    talk.run();
    BOOST_TEST((talk.bytes == payload));
}

BOOST_AUTO_TEST_CASE(many_threads_send_at_one_time) {
    Talk talk("echo");
    std::vector<std::thread> threads;
    std::atomic<int> left{4};
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            const std::vector<std::byte> payload(3000);
            for (std::uint64_t i = 0; i < 500; ++i) {
                talk.send_task(t * 500 + i, payload);
                talk.channel->flush();
            }
            if (--left == 0) {
                talk.send_stop();
                talk.channel->flush();
            }
        });
    }
    BOOST_TEST((talk.run().exit_code == 0));
    for (std::thread& thread : threads) {
        thread.join();
    }
    BOOST_TEST(talk.tasks.size() == 2000U);
    BOOST_TEST(talk.bytes.size() == 2000U * 3000U);
    std::sort(talk.tasks.begin(), talk.tasks.end());
    BOOST_TEST((std::unique(talk.tasks.begin(), talk.tasks.end()) == talk.tasks.end()));
}

BOOST_AUTO_TEST_CASE(all_that_was_sent_is_reported_before_the_end) {
    Talk talk("send and exit");
    const ExitStatus status = talk.run();
    BOOST_TEST((status.exit_code == 3));
    BOOST_TEST(talk.tasks.size() == 1000U);
}

BOOST_AUTO_TEST_CASE(an_end_in_the_middle_of_a_frame_is_an_end) {
    Talk talk("half a frame");
    BOOST_TEST((talk.run().exit_code == 4));
    BOOST_TEST(talk.tasks.empty());
    BOOST_TEST(talk.in_frame);
}

BOOST_AUTO_TEST_CASE(a_worker_that_closes_its_pipe_is_ended) {
    Talk talk("close");
    BOOST_TEST((talk.run().signal == SIGKILL));
}

BOOST_AUTO_TEST_CASE(a_worker_is_killed_on_request) {
    Talk talk("wait");
    talk.channel->kill(true);
    BOOST_TEST((talk.run().signal == SIGKILL));
}

BOOST_AUTO_TEST_CASE(a_worker_is_asked_to_end_even_if_it_is_stopped) {
    Talk talk("wait");
    ::kill(static_cast<pid_t>(talk.channel->pid()), SIGSTOP);
    talk.channel->kill(false);
    BOOST_TEST((talk.run().signal == SIGTERM));
}

BOOST_AUTO_TEST_CASE(a_worker_may_refuse_to_be_asked) {
    Talk talk("ignore SIGTERM");
    talk.on_frame = [&] {
        talk.channel->kill(false);
        talk.channel->kill(true);
    };
    BOOST_TEST((talk.run().signal == SIGKILL));
}

BOOST_AUTO_TEST_CASE(a_write_to_a_dead_worker_is_dropped) {
    Talk talk("wait");
    talk.channel->kill(true);
    talk.run();
    talk.gone.reset();
    talk.send_task(1, std::vector<std::byte>(100));
    talk.channel->flush();
    talk.context.restart();
    talk.context.run_for(generous);
    BOOST_TEST(!talk.gone);
}

BOOST_AUTO_TEST_CASE(end_reaps_the_process_and_reports_nothing) {
    Talk talk("wait");
    const auto pid = static_cast<pid_t>(talk.channel->pid());
    talk.context.stop();
    talk.channel->end();
    BOOST_TEST(::kill(pid, 0) == -1);
    BOOST_TEST(!talk.gone);
}

BOOST_AUTO_TEST_CASE(a_program_that_cannot_be_started_throws_and_leaves_nothing) {
    boost::asio::io_context context(1);
    const Holdings before = Holdings::now();
    BOOST_CHECK_THROW(
        WorkerChannel::start(
            context.get_executor(), {.program = "/nowhere/at/all", .launcher = {}}
        ),
        boost::system::system_error
    );
    const Holdings after = Holdings::now();
    BOOST_TEST(after.children == before.children);
    // The io_context makes itself some on first use.
    BOOST_TEST(after.descriptors <= before.descriptors + 3);
}

BOOST_AUTO_TEST_SUITE_END()
