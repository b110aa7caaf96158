#include "process/oom_watch.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace cofutures::process {

namespace {

std::optional<std::string> read_file(const std::string& path) {
    std::ifstream file(path);
    if (!file) {
        return std::nullopt;
    }
    return std::string(std::istreambuf_iterator<char>(file), {});
}

// Calls `use(line)` until it returns true; says whether it did.
template <class Use>
bool any_line(std::string_view text, Use use) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (use(text.substr(0, end))) {
            return true;
        }
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return false;
}

// Both memory.events and, of old, memory.oom_control have a line "oom_kill 3".
std::optional<std::uint64_t> read_count(const std::string& path) {
    constexpr std::string_view name = "oom_kill ";
    const auto text = read_file(path);
    std::uint64_t count = 0;
    const bool found =
        text && any_line(*text, [&](std::string_view line) {
            if (!line.starts_with(name)) {
                return false;
            }
            line.remove_prefix(name.size());
            return std::from_chars(line.data(), line.data() + line.size(), count).ec == std::errc();
        });
    return found ? std::optional(count) : std::nullopt;
}

}  // namespace

OomWatch::OomWatch(std::string processes, std::string groups)
    : processes_(std::move(processes)), groups_(std::move(groups)) {}

std::optional<OomWatch::Mark> OomWatch::begin(pid_t pid) const {
    const auto memberships = read_file(processes_ + '/' + std::to_string(pid) + "/cgroup");
    if (!memberships) {
        return std::nullopt;
    }
    std::string file = find_counter(*memberships);
    const auto count = read_count(file);
    return count ? std::optional<Mark>({std::move(file), *count}) : std::nullopt;
}

bool OomWatch::explains(const Mark& mark) {
    std::uint64_t& explained = explained_[mark.file];
    const std::uint64_t before = std::max(explained, mark.count);
    if (read_count(mark.file).value_or(0) <= before) {
        return false;
    }
    explained = before + 1;
    return true;
}

// Lines are "4:memory:/group", where each controller has a tree of its own, or "0::/group" for the
// one tree of newer systems. A container may see its group as the root of the tree.
std::string OomWatch::find_counter(std::string_view memberships) const {
    std::string file;
    const auto use = [&](std::string_view prefix, const std::string& tree, const char* counter) {
        return [=, this, &file](std::string_view line) {
            const std::size_t at = line.find(prefix);
            if (at == std::string_view::npos || line.find(':') != at) {
                return false;
            }
            const std::string group(line.substr(at + prefix.size()));
            for (const std::string& folder : {group, std::string()}) {
                file = groups_ + tree + folder + '/' + counter;
                if (read_count(file)) {
                    return true;
                }
            }
            return false;
        };
    };
    if (!any_line(memberships, use(":memory:", "/memory", "memory.oom_control"))) {
        any_line(memberships, use("::", "", "memory.events"));
    }
    return file;
}

}  // namespace cofutures::process
