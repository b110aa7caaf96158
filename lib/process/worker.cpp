#include "process/worker.hpp"

#include <cofutures/codec.hpp>
#include <cofutures/freeze_support.hpp>

#include "process/block_arena.hpp"
#include "process/block_reader.hpp"
#include "process/claim_table.hpp"
#include "process/exception_codec.hpp"
#include "process/frame.hpp"
#include "process/image.hpp"
#include "process/message.hpp"
#include "process/pipe_io.hpp"
#include "process/result_blocks.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iostream>
#include <optional>
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
    /// Takes over the descriptors.
    explicit Worker(const WorkerDescriptors& descriptors)
        : in_(descriptors.in),
          out_(descriptors.out),
          claims_(ClaimTable::open(FileDescriptor(descriptors.claims))) {
        if (descriptors.arguments >= 0) {
            argument_memory_.emplace(FileDescriptor(descriptors.arguments));
            // A task that looks finds no descriptors, unless addresses are too few to do without.
            argument_memory_->detach(BlockArena::limit);
        }
        if (descriptors.results >= 0) {
            result_memory_.emplace(FileDescriptor(descriptors.results));
            result_memory_->detach(ResultBlocks::limit);
            results_.emplace(*result_memory_);
        }
    }

    /// Serves until it is told to stop; false if the initializer failed. Ends the process when the
    /// pool has died.
    bool serve() {
        greet();
        if (!begin(next_frame())) {
            return false;
        }
        append_frame(answer_, FrameKind::ready, 0);
        send(answer_);
        for (;;) {
            const Frame frame = next_frame();
            if (frame.kind == FrameKind::stop) {
                return true;
            }
            if (claims_.begin(++tasks_)) {  // else the pool took it back
                run(frame);
            }
        }
    }

private:
    Frame next_frame() {
        for (;;) {
            if (const auto frame = reader_.next()) {
                return *frame;
            }
            receive();
        }
    }

    bool begin(const Frame& frame) {
        if (frame.kind != FrameKind::init) {
            throw SerializationError("the pool's first frame is none to begin with");
        }
        const Init init = read_init(frame.payload);
        // Otherwise the pool will see it in the greeting, and say so to those who wait.
        if (init.version == protocol_version) {
            const std::string build = build_id();
            same_program_ = init.is_own_program || (!build.empty() && init.build_id == build);
            captured_ = init.captures_output;
            if (captured_) {
                // Whoever reads lines wants them when they are written.
                std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
            }
            if (init.initializer) {
                return initialize(*init.initializer);
            }
        }
        return true;
    }

    bool initialize(const TaskMessage& call) {
        try {
            std::vector<std::byte> dropped;
            make_call(call, dropped);
            flush_streams();
            return true;
        } catch (...) {
            flush_streams();
            make_failure(FrameKind::init_failed, 0, "initializer " + call.name);
            send(answer_);
            return false;
        }
    }

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

    void send(const std::vector<std::byte>& bytes) const {
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
            make_call(task, answer_);
            close_frame(answer_, opened);
        } catch (...) {
            if (results_) {
                results_->drop();
            }
            make_failure(FrameKind::failure, frame.task_id, "task " + name);
        }
        if (results_) {
            results_->answered();
        }
        flush_streams();
        set_run_time(answer_, 0, std::chrono::steady_clock::now() - begun);
        // At once: a worker that dies has sent what came of all the tasks before.
        send(answer_);
        if (answer_.capacity() > kept_capacity) {
            answer_ = {};
        }
    }

    void make_call(const TaskMessage& call, std::vector<std::byte>& out) {
        const ResolvedTask resolved = resolve(call.ref, same_program_);
        BlockReader blocks(argument_memory_ ? &*argument_memory_ : nullptr, &shared_values_);
        Decoder arguments(call.arguments, &blocks);
        Encoder result(out, results_ ? &*results_ : nullptr);
        resolved.descriptor->thunk(resolved.function, arguments, result);
    }

    // In a catch handler.
    void make_failure(FrameKind kind, std::uint64_t task_id, const std::string& what) {
        answer_.clear();
        const std::size_t opened = open_frame(answer_, kind, task_id);
        append_message(
            answer_,
            capture_failure(
                std::current_exception(), "in worker " + std::to_string(getpid()) + ", " + what
            )
        );
        close_frame(answer_, opened);
    }

    // What a task has written arrives before its result.
    void flush_streams() const noexcept {
        if (captured_) {
            std::fflush(stdout);
            try {
                std::cout.flush();
            } catch (const std::ios_base::failure&) {  // asked for, and for the task to care about
            }
        }
    }

    static constexpr std::size_t kept_capacity = std::size_t{1} << 20;

    const int in_;
    const int out_;
    ClaimTable claims_;
    std::uint64_t tasks_ = 0;  // received
    std::optional<SharedMemory> argument_memory_;
    std::optional<SharedMemory> result_memory_;
    std::optional<ResultBlocks> results_;
    SharedValues shared_values_;
    FrameReader reader_;
    std::vector<std::byte> answer_;
    bool same_program_ = false;
    bool captured_ = false;
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

bool parse_descriptors(const char* word, WorkerDescriptors& descriptors) {
    const char* const end = word + std::strlen(word);
    const std::array numbers{
        &descriptors.in,
        &descriptors.out,
        &descriptors.claims,
        &descriptors.arguments,
        &descriptors.results};
    for (int* const number : numbers) {
        const auto parsed = std::from_chars(word, end, *number);
        const bool is_last = number == numbers.back();
        if (parsed.ec != std::errc() || (parsed.ptr == end) != is_last ||
            (!is_last && *parsed.ptr != ',')) {
            return false;
        }
        word = parsed.ptr + 1;
    }
    return true;
}

[[noreturn]] void serve_as_worker(const WorkerDescriptors& descriptors) {
    // What a task starts must not hold the pipes, nor take itself for a worker.
    for (const int descriptor : descriptors.all()) {
        fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    }
    unsetenv(worker_variable);  // NOLINT(concurrency-mt-unsafe): before any other thread
    {
        // A signal that a task blocks, to wait for it, must not end the process in this thread.
        const AllSignalsBlocked inherited;
        std::thread(end_with_the_pool, descriptors.in)
            .detach();  // lives as long as the process, and ends it
    }
    const bool served = Worker(descriptors).serve();
    // NOLINTNEXTLINE(concurrency-mt-unsafe): as returning from main
    std::exit(served ? EXIT_SUCCESS : EXIT_FAILURE);
}

}  // namespace

std::vector<std::string> worker_arguments(const WorkerDescriptors& descriptors) {
    std::string numbers;
    for (const int descriptor : descriptors.all()) {
        numbers += (numbers.empty() ? "" : ",") + std::to_string(descriptor);
    }
    return {std::string(worker_word), numbers};
}

bool is_unserved_worker() {
    return std::getenv(worker_variable) != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

}  // namespace process

void freeze_support(int argc, char** argv) noexcept {
    process::WorkerDescriptors descriptors;
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
