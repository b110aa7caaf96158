#include "process/spawn_command.hpp"

#include "process/system_calls.hpp"

#include <boost/system/system_error.hpp>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

namespace cofutures::process {

namespace {

using boost::system::error_code;
using boost::system::system_error;

// Finds a command as execvp does.
std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) {
        return name;
    }
    const char* variable = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe)
    std::string_view rest = variable != nullptr ? variable : "/bin:/usr/bin";
    int error = ENOENT;
    for (bool more = !name.empty(); more;) {
        const std::size_t colon = rest.find(':');
        std::string path(rest.substr(0, colon));
        path += (path.empty() ? "./" : "/") + name;
        struct stat file {};
        if (::stat(path.c_str(), &file) == 0 && S_ISREG(file.st_mode)) {
            if (::access(path.c_str(), X_OK) == 0) {
                return path;
            }
            error = EACCES;
        }
        more = colon != std::string_view::npos;
        rest.remove_prefix(more ? colon + 1 : rest.size());
    }
    throw system_error(
        error_code(error, boost::system::system_category()), "cannot find \"" + name + "\" in PATH"
    );
}

// "/proc/self/exe" is another program by the time a launcher runs it: give it a name that lasts.
std::string lasting_name(const std::string& program) {
    if (program != "/proc/self/exe") {
        return program;
    }
    std::array<char, 4096> target{};
    const ssize_t size = ::readlink(program.c_str(), target.data(), target.size());
    if (size > 0 && static_cast<std::size_t>(size) < target.size()) {
        std::string path(target.data(), static_cast<std::size_t>(size));
        struct stat named {};
        struct stat running {};
        if (::stat(path.c_str(), &named) == 0 && ::stat(program.c_str(), &running) == 0 &&
            named.st_dev == running.st_dev && named.st_ino == running.st_ino) {
            return path;
        }
    }
    return "/proc/" + std::to_string(::getpid()) + "/exe";  // replaced or removed since the start
}

// Where the child looks for a file that this program calls `path`.
std::string from_here(const std::string& path, const std::string& working_directory) {
    const bool relative = path.find('/') != std::string::npos && path.front() != '/';
    if (!relative || working_directory.empty()) {
        return path;
    }
    const std::unique_ptr<char, decltype(&std::free)> here(::getcwd(nullptr, 0), &std::free);
    if (!here) {
        throw system_error(last_error(), "cannot find out where this program is");
    }
    return std::string(here.get()) + '/' + path;
}

}  // namespace

SpawnCommand::SpawnCommand(const SpawnRequest& request) {
    require_well_formed(request);
    std::vector<std::string> words = request.launcher;
    words.push_back(from_here(
        words.empty() ? request.program : lasting_name(request.program), request.working_directory
    ));
    words.insert(words.end(), request.arguments.begin(), request.arguments.end());
    program_ = from_here(find_program(words.front()), request.working_directory);
    arguments_.assign(words.begin() + 1, words.end());
    add_environment(request);
}

void SpawnCommand::add_environment(const SpawnRequest& request) {
    for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
        variables_.emplace_back(*entry);
    }
    for (const auto& [name, value] : request.environment) {
        const std::string prefix = name + "=";
        std::erase_if(variables_, [&](const std::string& old) { return old.starts_with(prefix); });
        variables_.push_back(prefix + value);
    }
    for (const std::string& variable : variables_) {
        pointers_.push_back(variable.c_str());
    }
    pointers_.push_back(nullptr);
}

}  // namespace cofutures::process
