#pragma once

#include "process/child_setup.hpp"
#include "process/spawn_command.hpp"

#include <boost/system/error_code.hpp>

#include <sys/types.h>

namespace cofutures::process {

/// Makes a process that becomes the program, by Boost.Process where it can be linked.
///
/// @returns Its id; -1 if there is none, and `error` says why.
/// @throws boost::system::system_error  if there are no descriptors left.
pid_t launch(const SpawnCommand& command, ChildSetup& setup, boost::system::error_code& error);

}  // namespace cofutures::process
