#define BOOST_TEST_MODULE child_process
#define BOOST_TEST_NO_MAIN
#include "unit/process/child_program.hpp"

#include <atomic>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace cofutures::test;

namespace {

struct ExitWitness {
    const pid_t owner = ::getpid();
    ExitWitness() = default;
    ExitWitness(const ExitWitness&) = delete;
    ExitWitness& operator=(const ExitWitness&) = delete;
    ~ExitWitness() {
        if (::getpid() != owner && witness_of_exit >= 0) {
            write_text(witness_of_exit, "ran");
        }
    }
} const exit_witness;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(child_process, CleanProcess)

BOOST_AUTO_TEST_CASE(a_child_has_the_standard_descriptors_and_those_kept_open_no_others) {
    FileDescriptor inheritable(::open("/dev/null", O_RDONLY));  // NOLINT: what hosts do
    BOOST_TEST(report("descriptors") == "5");
    BOOST_TEST(::fcntl(inheritable.get(), F_GETFD) == 0);
}

BOOST_AUTO_TEST_CASE(a_child_sees_the_end_of_its_pipe_although_its_siblings_live) {
    asio::io_context context;
    std::vector<Talker> talkers;
    for (int i = 0; i < 6; ++i) {
        talkers.emplace_back(context, "until-eof");
    }
    for (Talker& talker : talkers) {
        talker.to_child = {};
        BOOST_TEST(talker.read_all() == "up");
        BOOST_TEST((wait_for_end(context, talker.child).exit_code == 0));
    }
}

BOOST_AUTO_TEST_CASE(an_exit_code_and_a_signal_are_told_apart) {
    asio::io_context context;
    ChildProcess exits(context.get_executor(), {.arguments = {"child", "exit7"}});
    BOOST_TEST((wait_for_end(context, exits) == ExitStatus{.exit_code = 7, .signal = {}}));
    ChildProcess dies(context.get_executor(), {.arguments = {"child", "kill"}});
    BOOST_TEST((wait_for_end(context, dies) == ExitStatus{.exit_code = {}, .signal = SIGKILL}));
}

BOOST_AUTO_TEST_CASE(the_end_can_be_waited_for_again_after_it) {
    asio::io_context context;
    ChildProcess child(context.get_executor(), {.arguments = {"child", "exit7"}});
    BOOST_TEST((wait_for_end(context, child).exit_code == 7));
    BOOST_TEST((wait_for_end(context, child).exit_code == 7));
}

BOOST_AUTO_TEST_CASE(the_end_is_noticed_when_the_host_program_ignores_sigchld) {
    const auto before = std::signal(SIGCHLD, SIG_IGN);
    asio::io_context context;
    ChildProcess child(context.get_executor(), {.arguments = {"child", "exit7"}});
    BOOST_TEST((wait_for_end(context, child) == ExitStatus{}));
    BOOST_TEST(!child.kill(SIGKILL));
    std::signal(SIGCHLD, before);
}

// The child of this case does the test, as there is no way back from an old kernel.
BOOST_AUTO_TEST_CASE(an_old_kernel_does) {
    BOOST_TEST(report("old-kernel") == "5 descriptors, signal 9");
}

BOOST_AUTO_TEST_CASE(a_program_that_is_not_there_is_an_error_that_names_it) {
    const Failure failure = failure_of({.program = "/does/not/exist"});
    BOOST_TEST((failure.code == boost::system::errc::no_such_file_or_directory));
    BOOST_TEST(contains(failure.text, "cannot run \"/does/not/exist\""));
    BOOST_TEST(contains(failure.text, "No such file"));
}

BOOST_AUTO_TEST_CASE(a_program_that_is_no_program_is_an_error) {
    const Failure failure = failure_of({.program = "/etc/passwd"});
    BOOST_TEST((failure.code == boost::system::errc::permission_denied));
    BOOST_TEST(contains(failure.text, "cannot run"));
}

BOOST_AUTO_TEST_CASE(a_launcher_that_path_does_not_have_is_an_error_that_names_it) {
    const Failure failure = failure_of({.launcher = {"no-such-launcher"}});
    BOOST_TEST((failure.code == boost::system::errc::no_such_file_or_directory));
    BOOST_TEST(contains(failure.text, "cannot find \"no-such-launcher\" in PATH"));
}

BOOST_AUTO_TEST_CASE(a_missing_working_directory_is_an_error_that_names_it) {
    const Failure failure = failure_of({.working_directory = "/does/not/exist"});
    BOOST_TEST((failure.code == boost::system::errc::no_such_file_or_directory));
    BOOST_TEST(contains(failure.text, "cannot enter the directory \"/does/not/exist\""));
}

BOOST_AUTO_TEST_CASE(a_descriptor_that_is_not_open_is_an_error) {
    const Failure failure = failure_of({.keep_open = {987}});
    BOOST_TEST((failure.code == boost::system::errc::bad_file_descriptor));
    BOOST_TEST(contains(failure.text, "cannot pass on the descriptors"));
}

BOOST_AUTO_TEST_CASE(words_that_exec_cannot_pass_are_refused) {
    using namespace std::string_literals;
    asio::io_context context;
    for (const SpawnRequest& request : std::vector<SpawnRequest>{
             {.arguments = {"a\0b"s}},
             {.environment = {{"", "value"}}},
             {.environment = {{"A=B", "value"}}},
             {.environment = {{"A", "b\0c"s}}}}) {
        BOOST_CHECK_THROW(ChildProcess(context.get_executor(), request), std::invalid_argument);
    }
}

// Not under a sanitizer, which reads memory through pipes of its own.
BOOST_AUTO_TEST_CASE(
    a_start_that_runs_out_of_descriptors_at_any_point_loses_none,
    *boost::unit_test::enable_if<!cofutures::test::sanitized>()
) {
    asio::io_context context;
    const SpawnRequest request{.arguments = {"child", "exit7"}};
    ChildProcess first(context.get_executor(), request);
    wait_for_end(context, first);  // now the context has all that it needs
    const std::vector<int> before = open_descriptors();
    rlimit allowed{};
    ::getrlimit(RLIMIT_NOFILE, &allowed);
    int failures = 0;
    constexpr int most = 16;
    for (int room = 0; room < most; ++room) {
        const rlimit limit{.rlim_cur = limit_with_room(before, room), .rlim_max = allowed.rlim_max};
        std::optional<ChildProcess> child;
        ::setrlimit(RLIMIT_NOFILE, &limit);
        try {
            child.emplace(context.get_executor(), request);
        } catch (const boost::system::system_error& error) {
            BOOST_TEST((error.code() == boost::system::errc::too_many_files_open));
            ++failures;
        }
        ::setrlimit(RLIMIT_NOFILE, &allowed);
        if (child) {
            BOOST_TEST((wait_for_end(context, *child).exit_code == 7));
            child.reset();
        }
        BOOST_TEST(open_descriptors() == before, boost::test_tools::per_element());
    }
    BOOST_TEST(failures > 0);
    BOOST_TEST(failures < most);
}

BOOST_AUTO_TEST_CASE(a_failed_start_does_not_run_the_exit_handlers_of_this_program) {
    Pipe pipe = make_pipe();
    witness_of_exit = pipe.write_end.get();
    failure_of({.program = "/does/not/exist"});
    failure_of({.working_directory = "/does/not/exist"});
    witness_of_exit = -1;
    pipe.write_end = {};
    BOOST_TEST(read_to_end(pipe.read_end.get()) == "");
}

BOOST_AUTO_TEST_CASE(kill_works_until_the_end_and_not_after_it) {
    asio::io_context context;
    Talker talker(context, "until-eof");
    BOOST_TEST(talker.child.kill(SIGTERM));
    BOOST_TEST((wait_for_end(context, talker.child).signal == SIGTERM));
    BOOST_TEST(!talker.child.kill(SIGTERM));
    BOOST_TEST(!talker.child.kill_group(SIGTERM));
}

BOOST_AUTO_TEST_CASE(kill_group_reaches_what_the_child_has_started) {
    asio::io_context context;
    Talker talker(context, "family");
    BOOST_TEST(talker.read_some() == "up");
    BOOST_TEST(talker.child.kill_group(SIGKILL));
    BOOST_TEST(talker.read_all() == "");  // ends when the grandchild's copy of the pipe is closed
    BOOST_TEST((wait_for_end(context, talker.child).signal == SIGKILL));
}

BOOST_AUTO_TEST_CASE(destruction_ends_the_process_and_aborts_the_wait) {
    asio::io_context context;
    error_code result;
    {
        Talker talker(context, "until-eof");
        talker.child.async_wait([&](error_code error, ExitStatus) { result = error; });
        context.poll();
        BOOST_TEST(!result);
    }
    context.run_for(patience);
    BOOST_TEST((result == asio::error::operation_aborted));
}

BOOST_AUTO_TEST_CASE(assignment_ends_the_process_that_was_there) {
    asio::io_context context;
    Talker first(context, "until-eof");
    Talker second(context, "until-eof");
    BOOST_TEST(first.read_some() == "up");
    first.child = std::move(second.child);
    BOOST_TEST(first.read_all() == "");
    second.to_child = {};
    BOOST_TEST((wait_for_end(context, first.child).exit_code == 0));
}

BOOST_AUTO_TEST_CASE(a_wait_can_be_cancelled_and_started_again) {
    asio::io_context context;
    Talker talker(context, "until-eof");
    asio::cancellation_signal signal;
    error_code result;
    talker.child.async_wait(asio::bind_cancellation_slot(
        signal.slot(), [&](error_code error, ExitStatus) { result = error; }
    ));
    context.poll();
    signal.emit(asio::cancellation_type::terminal);
    context.run_for(patience);
    BOOST_TEST((result == asio::error::operation_aborted));
    talker.to_child = {};
    BOOST_TEST((wait_for_end(context, talker.child).exit_code == 0));
}

BOOST_AUTO_TEST_CASE(a_pipe_never_takes_the_number_of_a_standard_stream) {
    BOOST_TEST(report("low-pipe") == "above");
}

BOOST_AUTO_TEST_CASE(pipes_close_on_exec) {
    const Pipe pipe = make_pipe();
    BOOST_TEST(::fcntl(pipe.read_end.get(), F_GETFD) == FD_CLOEXEC);
    BOOST_TEST(::fcntl(pipe.write_end.get(), F_GETFD) == FD_CLOEXEC);
}

BOOST_AUTO_TEST_CASE(threads_start_children_at_the_same_time) {
    std::atomic<bool> stop{false};
    std::thread churn([&] {
        while (!stop) {
            const Pipe pipe = make_pipe();
        }
    });
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            asio::io_context context;
            for (int i = 0; i < 25; ++i) {
                Talker talker(context, "descriptors");
                const std::string count = talker.read_all();
                talker.child.async_wait([&](error_code error, ExitStatus status) {
                    good += !error && status.exit_code == 0 && count == "5";
                });
                context.restart();
                context.run_for(patience);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    stop = true;
    churn.join();
    BOOST_TEST(good == 100);
}

BOOST_AUTO_TEST_SUITE_END()
