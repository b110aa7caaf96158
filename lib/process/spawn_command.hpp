#pragma once

#include "process/spawn_request.hpp"

#include <string>
#include <vector>

namespace cofutures::process {

/// A command line and an environment in the form that exec takes, made before the fork.
class SpawnCommand {
public:
    /// @throws std::invalid_argument        as require_well_formed().
    /// @throws boost::system::system_error  if there is no such command.
    explicit SpawnCommand(const SpawnRequest& request);
    // The pointers point into the object.
    SpawnCommand(const SpawnCommand&) = delete;
    SpawnCommand& operator=(const SpawnCommand&) = delete;
    ~SpawnCommand() = default;

    /// A path.
    [[nodiscard]] const std::string& program() const noexcept { return program_; }
    /// The words after the program's name.
    [[nodiscard]] const std::vector<std::string>& arguments() const noexcept { return arguments_; }
    /// As exec takes it: with a null pointer behind.
    [[nodiscard]] const char* const* environment() const noexcept { return pointers_.data(); }

private:
    void add_environment(const SpawnRequest& request);

    std::string program_;
    std::vector<std::string> arguments_;
    std::vector<std::string> variables_;
    std::vector<const char*> pointers_;
};

}  // namespace cofutures::process
