#include "process/worker.hpp"

#include <cofutures/codec.hpp>
#include <cofutures/freeze_support.hpp>

#include "process/claim_table.hpp"
#include "process/exception_codec.hpp"
#include "process/frame.hpp"
#include "process/image.hpp"
#include "process/message.hpp"
#include "process/pipe_io.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace cofutures {
namespace process {
namespace {

using boost::system::error_code;

constexpr std::string_view worker_word = "--cofutures-worker";

// Exit code of a worker whose pool is gone: nobody is left to read it but a person with a trace.
constexpr int orphaned = 125;

/// The loop of a worker process: reads tasks, runs them, writes results.
///
/// It waits for nothing but its pipes, one at a time, and so needs no io_context, whose descriptors
/// would be in the way of a task that counts them, or takes the numbers of closed standard streams.
class Worker {
public:
    Worker(int in, int out, ClaimTable claims) noexcept
        : in_(in), out_(out), claims_(std::move(claims)) {}

    /// Serves until it is told to stop. Ends the process when the pool has died.
    void serve() {
        greet();
        for (;;) {
            while (const auto frame = reader_.next()) {
                if (frame->kind == FrameKind::stop) {
                    return;
                }
                if (claims_.begin(++tasks_)) {  // else the pool took it back
                    run(*frame);
                }
            }
            receive();
        }
    }

private:
    void greet() {
        std::vector<std::byte> hello;
        const std::size_t opened = open_frame(hello, FrameKind::hello, 0);
        append_message(hello, Hello{.build_id = build_id(), .pid = getpid()});
        close_frame(hello, opened);
        send(hello);
    }

    void receive() {
        error_code error;
        const std::size_t size = read_now(in_, reader_.prepare(), error);
        if (size == 0) {
            std::_Exit(orphaned);
        }
        reader_.commit(size);
    }

    void send(const std::vector<std::byte>& bytes) {
        error_code error;
        write_now(out_, bytes, error);
        if (error) {
            std::_Exit(orphaned);
        }
    }

    void run(const Frame& frame) {
        const auto begun = std::chrono::steady_clock::now();
        answer_.clear();
        std::string name = "a task";
        try {
            const std::size_t opened = open_frame(answer_, FrameKind::value, frame.task_id);
            const TaskMessage task = read_task(frame.payload);
            name = task.name;
            const ResolvedTask resolved = resolve(task.ref);
            Decoder arguments(task.arguments);
            Encoder result(answer_);
            resolved.descriptor->thunk(resolved.function, arguments, result);
            close_frame(answer_, opened);
        } catch (...) {
            answer_.clear();
            const std::size_t opened = open_frame(answer_, FrameKind::failure, frame.task_id);
            append_message(
                answer_,
                capture_failure(
                    std::current_exception(),
                    "in worker " + std::to_string(getpid()) + ", task " + name
                )
            );
            close_frame(answer_, opened);
        }
        set_run_time(answer_, 0, std::chrono::steady_clock::now() - begun);
        // At once: a worker that dies has sent what came of all the tasks before.
        send(answer_);
        if (answer_.capacity() > kept_capacity) {
            answer_ = {};
        }
    }

    static constexpr std::size_t kept_capacity = std::size_t{1} << 20;

    const int in_;
    const int out_;
    ClaimTable claims_;
    std::uint64_t tasks_ = 0;  // received
    FrameReader reader_;
    std::vector<std::byte> answer_;
};

// A task may run for hours after the pool's process was killed, unless somebody looks.
void end_with_the_pool(int in) {
    pollfd watched{.fd = in, .events = 0, .revents = 0};
    while (poll(&watched, 1, -1) < 0 && errno == EINTR) {
    }
    if ((watched.revents & POLLNVAL) == 0) {  // else a task closed it: it may still give its result
        std::_Exit(orphaned);
    }
}

/// What the command line says: where tasks come in, where results go out, and who begins what.
using Descriptors = std::array<int, 3>;

bool parse_descriptors(const char* word, Descriptors& descriptors) {
    const char* const end = word + std::strlen(word);
    for (int& descriptor : descriptors) {
        const auto parsed = std::from_chars(word, end, descriptor);
        const bool is_last = &descriptor == &descriptors.back();
        if (parsed.ec != std::errc() || (parsed.ptr == end) != is_last ||
            (!is_last && *parsed.ptr != ',')) {
            return false;
        }
        word = parsed.ptr + 1;
    }
    return true;
}

[[noreturn]] void serve_as_worker(const Descriptors& descriptors) {
    const auto [in, out, claims] = descriptors;
    // What a task starts must not hold the pipes, nor take itself for a worker.
    fcntl(in, F_SETFD, FD_CLOEXEC);
    fcntl(out, F_SETFD, FD_CLOEXEC);
    unsetenv(worker_variable);  // NOLINT(concurrency-mt-unsafe): before any other thread
    {
        // A signal that a task blocks, to wait for it, must not end the process in this thread.
        const AllSignalsBlocked inherited;
        std::thread(end_with_the_pool, in).detach();  // lives as long as the process, and ends it
    }
    Worker(in, out, ClaimTable::open(FileDescriptor(claims))).serve();
    std::exit(EXIT_SUCCESS);  // NOLINT(concurrency-mt-unsafe): as returning from main
}

}  // namespace

std::vector<std::string> worker_arguments(int in, int out, int claims) {
    return {
        std::string(worker_word),
        std::to_string(in) + ',' + std::to_string(out) + ',' + std::to_string(claims)};
}

bool is_unserved_worker() {
    return std::getenv(worker_variable) != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace process

void freeze_support(int argc, char** argv) noexcept {
    process::Descriptors descriptors{};
    if (argc == 3 && argv[1] == process::worker_word &&
        process::parse_descriptors(argv[2], descriptors)) {
        try {
            process::serve_as_worker(descriptors);
        } catch (const std::exception& error) {
            std::fprintf(stderr, "cofutures: a worker process failed: %s\n", error.what());
            std::_Exit(EXIT_FAILURE);
        }
    }
}

}  // namespace cofutures
