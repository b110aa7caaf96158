#pragma once

#include "process/spawn_request.hpp"
#include "process/system_calls.hpp"

#include <boost/system/error_code.hpp>

#include <string>
#include <vector>

#include <sched.h>

namespace cofutures::process {

/// What a child does before it becomes the new program, in this order.
enum class SpawnStep : unsigned char {
    fork,
    group,
    directory,
    streams,
    descriptors,
    nice,
    cpus,
    cpu_time,
    open_files,
    address_space,
    exec,
};

/// What could not be done, in words.
///
/// @param program  The path of what was to be run.
[[nodiscard]] std::string
describe(SpawnStep step, const std::string& program, const SpawnRequest& request);

/// What a child does between fork and exec.
///
/// It runs in the child of a program that may have other threads: it calls nothing but what is safe
/// in a signal handler, and does not allocate. Made before the fork.
class ChildSetup {
public:
    /// @param report  Descriptor to write the step to that failed; it closes on exec.
    ChildSetup(const SpawnRequest& request, int report);

    /// Prepares the child; false, with errno, if a step fails.
    bool prepare() noexcept;

    /// Says which step it was that failed, the last one being exec, and ends the child.
    [[noreturn]] void fail() noexcept;

    /// @name Hooks of Boost.Process
    /// Templates, as its launchers and path types vary, and the number of arguments too.
    /// @{
    template <class Launcher, class Path>
    boost::system::error_code on_setup(Launcher& launcher, const Path&, const char* const*&) {
        // Later versions close, between on_exec_setup and exec, whatever is not on this list.
        launcher.fd_whitelist.push_back(report_);
        for (const int fd : request_.keep_open) {
            launcher.fd_whitelist.push_back(fd);
        }
        return {};
    }
    template <class Launcher, class Path>
    boost::system::error_code on_exec_setup(Launcher&, const Path&, const char* const*&) {
        // Some versions of the launcher look only at errno.
        return prepare() ? boost::system::error_code() : last_error();
    }
    // The launcher would go on to `exit`, which runs the host program's destructors a second time.
    template <class... Args>
    void on_exec_error(Args&&...) noexcept {
        fail();
    }
    /// @}

private:
    // The address space comes last, as nothing after it may need more.
    bool apply_limits() noexcept;

    const SpawnRequest& request_;
    int report_;
    std::vector<cpu_set_t> cpus_;  // one set after another is one large set
    SpawnStep step_ = SpawnStep::fork;
};

/// Exit code of a child that could not become the program; a shell's too.
inline constexpr int not_executed = 127;

}  // namespace cofutures::process
