#include "process/launch.hpp"

#include "process/child_process.hpp"
#include "process/system_calls.hpp"

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include <unistd.h>

#ifndef COFUTURES_WITHOUT_BOOST_PROCESS
#    include <boost/asio/io_context.hpp>
#    include <boost/asio/posix/stream_descriptor.hpp>
#    include <boost/process/v2/posix/default_launcher.hpp>
#    include <boost/process/v2/process.hpp>
#    include <boost/system/system_error.hpp>
#    include <boost/version.hpp>
#endif

namespace cofutures::process {

namespace {

// Lets `fork` and the child's first steps happen without any signal, for a handler of the host
// program would run in the child, on what looks like the host's own memory and pipes.
class SignalsBlocked {
public:
    SignalsBlocked() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

}  // namespace

#ifdef COFUTURES_WITHOUT_BOOST_PROCESS

pid_t launch(const SpawnCommand& command, ChildSetup& setup, boost::system::error_code& error) {
    Pipe outcome = make_pipe(PipeSize::usual);
    std::vector<char*> words{const_cast<char*>(command.program().c_str())};
    for (const std::string& word : command.arguments()) {
        words.push_back(const_cast<char*>(word.c_str()));
    }
    words.push_back(nullptr);
    auto* const environment = const_cast<char* const*>(command.environment());
    const SignalsBlocked blocked;
    const pid_t pid = ::fork();
    if (pid == 0) {
        if (setup.prepare()) {
            ::execve(words.front(), words.data(), environment);
        }
        const int reason = errno;
        [[maybe_unused]] const ssize_t written =
            ::write(outcome.write_end.get(), &reason, sizeof(reason));
        setup.fail();
    }
    if (pid < 0) {
        error = last_error();
        return -1;
    }
    outcome.write_end = {};
    int reason = 0;
    ssize_t count = -1;
    do {
        count = ::read(outcome.read_end.get(), &reason, sizeof(reason));
    } while (count < 0 && errno == EINTR);
    if (count != sizeof(reason)) {
        return pid;  // nothing came before the end that the program's start is
    }
    wait_for(pid, nullptr, 0);
    error.assign(reason, boost::system::system_category());
    return -1;
}

#else

// The launcher gets an io_context of its own: it tells the context about the fork, in the child
// too, and there it would wait for ever for a lock that another thread held at that moment.
pid_t launch(const SpawnCommand& command, ChildSetup& setup, boost::system::error_code& error) {
    namespace bp = boost::process::v2;
    const pid_t parent = ::getpid();
    boost::asio::io_context context(1);
    bp::posix::default_launcher launcher;
    launcher.env = command.environment();
    try {
        // The context gets its own descriptors now: were there none left after the fork, the
        // launcher would lose the one by which it knows the child.
        const boost::asio::posix::stream_descriptor none(context);
        const SignalsBlocked blocked;
        auto process =
            launcher(context.get_executor(), error, command.program(), command.arguments(), setup);
        if (!error) {
            process.detach();
            return launcher.pid;
        }
    } catch (const boost::system::system_error& thrown) {
        // The context could not be set up anew after the fork: this is the child, and must not go
        // on with what its parent does.
        if (::getpid() != parent) {
            ::_exit(not_executed);
        }
        // The process runs, only the launcher's handle on it failed: it needs one on a system that
        // has none, or the child has ended and this program ignores SIGCHLD.
        if (launcher.pid > 0) {
            error = {};
            return launcher.pid;
        }
        error = thrown.code();
    }
#    if BOOST_VERSION < 108800  // from then on the launcher reaps what did not become the program
    if (launcher.pid > 0) {
        wait_for(launcher.pid, nullptr, 0);
    }
#    endif
    return -1;
}

#endif

}  // namespace cofutures::process
