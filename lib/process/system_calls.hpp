#pragma once

#include <boost/system/error_code.hpp>

#include <cerrno>

#include <sys/types.h>
#include <sys/wait.h>

namespace cofutures::process {

/// What errno says.
inline boost::system::error_code last_error() noexcept {
    return {errno, boost::system::system_category()};
}

/// waitpid(), whatever signals come meanwhile.
inline pid_t wait_for(pid_t pid, int* status, int flags) noexcept {
    pid_t result = -1;
    do {
        result = ::waitpid(pid, status, flags);
    } while (result < 0 && errno == EINTR);
    return result;
}

}  // namespace cofutures::process
