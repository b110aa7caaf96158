#define BOOST_TEST_MODULE child_setup
#define BOOST_TEST_NO_MAIN
#include "unit/process/child_program.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace cofutures::test;
using cofutures::WorkerLimits;

BOOST_FIXTURE_TEST_SUITE(child_setup, CleanProcess)

BOOST_AUTO_TEST_CASE(a_child_leads_a_process_group) {
    BOOST_TEST(report("group") == "own");
}

BOOST_AUTO_TEST_CASE(a_child_starts_with_no_signal_blocked_and_sigpipe_by_default) {
    sigset_t blocked;
    sigset_t before;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const auto pipe_before = std::signal(SIGPIPE, SIG_IGN);
    const auto winch_before = std::signal(SIGWINCH, SIG_IGN);
    BOOST_TEST(report("signals") == "blocked no, pipe default, winch ignored");
    std::signal(SIGPIPE, pipe_before);
    std::signal(SIGWINCH, winch_before);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

BOOST_AUTO_TEST_CASE(the_signal_state_of_this_program_is_left_alone) {
    const auto state = [] {
        std::vector<void (*)(int)> handlers;
        sigset_t blocked;
        ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
        for (int signal = 1; signal < NSIG; ++signal) {
            struct sigaction current {};
            ::sigaction(signal, nullptr, &current);
            handlers.push_back(current.sa_handler);
            handlers.push_back(::sigismember(&blocked, signal) == 1 ? SIG_IGN : SIG_DFL);
        }
        return handlers;
    };
    const auto usr2_before = std::signal(SIGUSR2, [](int) {});
    const auto before = state();
    BOOST_TEST(report("group") == "own");
    failure_of({.program = "/does/not/exist"});
    BOOST_TEST((state() == before));
    std::signal(SIGUSR2, usr2_before);
}

BOOST_AUTO_TEST_CASE(launcher_words_come_before_the_program) {
    BOOST_TEST(
        report("variables", {.arguments = {"COFUTURES_A"}, .launcher = {"env", "COFUTURES_A=1"}}) ==
        "[1]"
    );
    constexpr int nicest = 19;
    const int expected = std::min(::getpriority(PRIO_PROCESS, 0) + 3, nicest);
    BOOST_TEST(report("nice", {.launcher = {"nice", "-n", "3"}}) == std::to_string(expected));
}

BOOST_AUTO_TEST_CASE(a_program_that_was_removed_can_still_start_itself) {
    const auto copy =
        std::filesystem::temp_directory_path() / ("cofutures-child-" + std::to_string(::getpid()));
    std::filesystem::copy_file("/proc/self/exe", copy);
    BOOST_TEST(report("removal", {.program = copy.string()}) == "77");
    BOOST_TEST(!std::filesystem::exists(copy));
}

BOOST_AUTO_TEST_CASE(arguments_arrive_word_for_word) {
    BOOST_TEST(
        report("words", {.arguments = {"", "two words", "\"quoted\"", "$HOME"}}) ==
        "[][two words][\"quoted\"][$HOME]"
    );
}

BOOST_AUTO_TEST_CASE(environment_entries_are_added_or_replace_what_is_there) {
    ::setenv("COFUTURES_A", "old", 1);
    ::setenv("COFUTURES_B", "kept", 1);
    BOOST_TEST(
        report(
            "variables",
            {.arguments = {"COFUTURES_A", "COFUTURES_B", "COFUTURES_C"},
             .environment = {{"COFUTURES_A", "new"}, {"COFUTURES_C", "x=y"}}}
        ) == "[new][kept][x=y]"
    );
    BOOST_TEST(std::string(std::getenv("COFUTURES_A")) == "old");
    ::unsetenv("COFUTURES_A");
    ::unsetenv("COFUTURES_B");
}

BOOST_AUTO_TEST_CASE(a_child_starts_in_the_working_directory_asked_for) {
    BOOST_TEST(report("directory", {.working_directory = "/"}) == "/");
    BOOST_TEST(report("directory") == std::filesystem::current_path().string());
}

BOOST_AUTO_TEST_CASE(a_relative_program_is_found_from_here_and_not_from_the_working_directory) {
    const auto program = std::filesystem::read_symlink("/proc/self/exe");
    const auto relative = "./" + std::filesystem::relative(program).string();
    BOOST_TEST(report("directory", {.program = relative, .working_directory = "/"}) == "/");
    BOOST_TEST(
        report("directory", {.program = relative, .launcher = {"env"}, .working_directory = "/"}) ==
        "/"
    );
}

BOOST_AUTO_TEST_CASE(standard_streams_can_lead_elsewhere) {
    asio::io_context context;
    Pipe output = make_pipe();
    Pipe errors = make_pipe();
    Talker talker(
        context,
        "streams",
        {.standard_output = output.write_end.get(), .standard_error = errors.write_end.get()}
    );
    output.write_end = {};
    errors.write_end = {};
    BOOST_TEST(read_to_end(output.read_end.get()) == "to stdout");
    BOOST_TEST(read_to_end(errors.read_end.get()) == "to stderr");
    wait_for_end(context, talker.child);
}

// --- limits --------------------------------------------------------------------------------------

// The program behind a launcher too: they are set before either begins.
const std::vector<std::vector<std::string>> launchers{{}, {"env"}};

BOOST_AUTO_TEST_CASE(
    limits_hold_from_the_first_moment, *boost::unit_test::enable_if<!cofutures::test::sanitized>()
) {
    for (const auto& launcher : launchers) {
        const std::string limits = report(
            "limits",
            {.launcher = launcher,
             .limits =
                 {.address_space = 4'000'000'000,
                  .cpu_time = std::chrono::seconds(100),
                  .open_files = 50}}
        );
        BOOST_TEST(limits == "4000000000/4000000000 100/101 50/50");
    }
}

BOOST_AUTO_TEST_CASE(without_limits_a_child_has_those_of_this_program) {
    BOOST_TEST(
        report("limits") ==
        limit_text(RLIMIT_AS) + ' ' + limit_text(RLIMIT_CPU) + ' ' + limit_text(RLIMIT_NOFILE)
    );
}

BOOST_AUTO_TEST_CASE(a_limit_is_not_raised_beyond_what_is_allowed) {
    rlimit allowed{};
    ::getrlimit(RLIMIT_NOFILE, &allowed);
    const std::string most = std::to_string(allowed.rlim_max);
    const std::string limits = report("limits", {.limits = {.open_files = allowed.rlim_max + 1}});
    BOOST_TEST(limits.substr(limits.rfind(' ') + 1) == most + '/' + most);
}

BOOST_AUTO_TEST_CASE(a_nice_level_is_added) {
    const int now = ::getpriority(PRIO_PROCESS, 0);
    for (const auto& launcher : launchers) {
        BOOST_TEST(
            report("nice", {.launcher = launcher, .limits = {.nice = 3}}) ==
            std::to_string(std::min(now + 3, 19))
        );
    }
    BOOST_TEST(report("nice", {.limits = {.nice = std::numeric_limits<int>::max()}}) == "19");
}

BOOST_AUTO_TEST_CASE(a_child_runs_on_the_processors_asked_for) {
    for (const auto& launcher : launchers) {
        BOOST_TEST(
            report("cpus", {.launcher = launcher, .limits = {.cpus = {first_cpu()}}}) == "1 with it"
        );
    }
}

BOOST_AUTO_TEST_CASE(processors_that_are_not_there_are_an_error_that_says_so) {
    const Failure failure = failure_of({.limits = {.cpus = {65'535}}});
    BOOST_TEST(contains(failure.text, "cannot run on the processors"));
    BOOST_TEST(failure.code == boost::system::errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(limits_without_sense_are_refused) {
    const std::vector<WorkerLimits> bad{
        {.address_space = 0},
        {.cpu_time = std::chrono::seconds(0)},
        {.cpu_time = std::chrono::seconds(-1)},
        {.open_files = 0},
        {.cpus = {0, -1}},
        {.cpus = {std::numeric_limits<int>::max()}},
    };
    for (const WorkerLimits& limits : bad) {
        BOOST_CHECK_THROW(require_well_formed({.limits = limits}), std::invalid_argument);
    }
    BOOST_CHECK_NO_THROW(require_well_formed({.limits = {.nice = -5}}));
}

BOOST_AUTO_TEST_SUITE_END()
