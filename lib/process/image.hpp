#pragma once

#include <cofutures/detail/task_descriptor.hpp>

#include "process/message.hpp"

#include <cstdint>
#include <string>

/// @file
/// Where a task's code is, in terms that hold in another process of the same program: a module (the
/// program itself, a shared library, a plugin) and the distance from its base, which the system
/// chooses anew for each process. Works for every kind of executable, stripped too.

namespace cofutures::process {

/// A task found in this process.
struct ResolvedTask {
    const detail::TaskDescriptor* descriptor;
    /// The function to call; 0 if the descriptor says it all.
    std::uintptr_t function;
};

/// Says where a descriptor, and a function if it is not 0, are.
///
/// @throws UnknownTaskError  if one of them is in no module: code made at run time, or a module
/// that
///                           was unloaded.
/// @thread_safety  Safe.
/// @complexity     O(modules); the list of them is read again only when one was loaded or unloaded.
[[nodiscard]] TaskRef
make_task_ref(const detail::TaskDescriptor& descriptor, std::uintptr_t function);

/// Finds what `make_task_ref` of another process of this program meant.
///
/// Nothing is believed: the place has to be inside the module, a descriptor has to stand there, and
/// it and the function have to lead to code. A library is the one that is meant if it has its build
/// id, wherever it lies, or its path where nobody gave it a build id. One that is not loaded here
/// is loaded.
///
/// @param same_program      Whether this process runs the program of the other: only then what is
///                          in the program itself can be found.
/// @throws UnknownTaskError  if there is no such task here; the text says why.
/// @thread_safety  Safe.
[[nodiscard]] ResolvedTask resolve(const TaskRef& ref, bool same_program = true);

/// What the linker put into the program to tell its builds apart, as hexadecimal digits; empty if
/// it was told to put in nothing.
[[nodiscard]] std::string build_id();

}  // namespace cofutures::process
