#include <cofutures/error.hpp>

#define BOOST_TEST_MODULE error
#include <boost/test/unit_test.hpp>

#include <stdexcept>
#include <string>
#include <type_traits>

using namespace cofutures;

namespace {

template <class E>
void check_message(const E& error, const std::string& message) {
    BOOST_TEST(error.what() == message);
    try {
        throw E(error);
    } catch (const Error& caught) {
        BOOST_TEST(caught.what() == message);
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(errors)

BOOST_AUTO_TEST_CASE(each_is_made_from_a_message_and_caught_as_error) {
    check_message(Error("m"), "m");
    check_message(CancelledError("m"), "m");
    check_message(TimeoutError("m"), "m");
    check_message(InvalidStateError("m"), "m");
    check_message(ShutdownError("m"), "m");
    check_message(QueueFullError("m"), "m");
    check_message(DeadlockError("m"), "m");
    check_message(BrokenExecutor("m"), "m");
    check_message(BrokenThreadPool("m"), "m");
    check_message(BrokenProcessPool("m"), "m");
    check_message(TaskTimeoutError("m"), "m");
    check_message(WorkerDiedError("m"), "m");
    check_message(RemoteError("m"), "m");
    check_message(SerializationError("m"), "m");
    check_message(UnknownTaskError("m"), "m");
}

BOOST_AUTO_TEST_CASE(the_hierarchy_is_as_documented) {
    static_assert(std::is_base_of_v<std::runtime_error, Error>);
    static_assert(std::is_base_of_v<BrokenExecutor, BrokenThreadPool>);
    static_assert(std::is_base_of_v<BrokenExecutor, BrokenProcessPool>);
    static_assert(!std::is_base_of_v<BrokenExecutor, WorkerDiedError>);
    static_assert(!std::is_base_of_v<TimeoutError, TaskTimeoutError>);
    static_assert(!std::is_base_of_v<BrokenExecutor, ShutdownError>);
}

BOOST_AUTO_TEST_CASE(the_frequent_ones_have_a_text_of_their_own) {
    BOOST_TEST(CancelledError().what() == std::string("the future was cancelled"));
    BOOST_TEST(TimeoutError().what() == std::string("the wait timed out"));
    BOOST_TEST(ShutdownError().what() == std::string("cannot schedule new futures after shutdown"));
}

BOOST_AUTO_TEST_CASE(a_broken_process_pool_says_which_worker_how_and_doing_what) {
    const WorkerExit killed{.pid = 4711, .exit_code = {}, .signal = 9, .task = "resize"};
    const BrokenProcessPool error("the pool is broken", killed);
    BOOST_TEST(
        error.what() ==
        std::string("the pool is broken: worker 4711 was ended by signal 9 (Killed) "
                    "while running \"resize\"")
    );
    BOOST_TEST(error.worker().pid == 4711);
    BOOST_TEST(error.worker().signal.value() == 9);
    BOOST_TEST(error.worker().task == "resize");
}

BOOST_AUTO_TEST_CASE(a_worker_died_error_says_the_same) {
    const WorkerDiedError error("dead", {.pid = 7, .exit_code = 3, .signal = {}, .task = {}});
    BOOST_TEST(error.what() == std::string("dead: worker 7 exited with code 3 while idle"));
    BOOST_TEST(error.worker().exit_code.value() == 3);
}

BOOST_AUTO_TEST_CASE(a_worker_is_described_with_all_that_is_known) {
    WorkerExit worker;
    worker.pid = 7;
    worker.signal = 9;
    worker.task = "resize";
    worker.oom_killed = true;
    worker.attempt = 2;
    worker.stderr_tail = "one\nlast\n";
    BOOST_TEST(
        worker.describe() ==
        "worker 7 was ended by signal 9 (Killed) because memory ran out, while "
        "running \"resize\", attempt 2; the last that it wrote to its error "
        "stream:\none\nlast"
    );
}

BOOST_AUTO_TEST_CASE(a_worker_that_never_started_is_described_without_a_number) {
    BOOST_TEST(WorkerExit{}.describe() == "a worker");
}

BOOST_AUTO_TEST_CASE(nothing_is_said_of_an_end_that_is_not_known) {
    WorkerExit worker;
    worker.pid = 7;
    BOOST_TEST(worker.describe() == "worker 7");
    worker.task = "resize";
    BOOST_TEST(worker.describe() == "worker 7 while running \"resize\"");
}

BOOST_AUTO_TEST_CASE(a_remote_error_keeps_type_text_and_trace) {
    const RemoteError error("bad line", "app::ParseError", "in worker 7");
    BOOST_TEST(error.what() == std::string("bad line"));
    BOOST_TEST(error.type_name() == "app::ParseError");
    BOOST_TEST(error.remote_trace() == "in worker 7");
    BOOST_TEST(RemoteError("x").type_name() == "unknown");
}

BOOST_AUTO_TEST_SUITE_END()
