#include "options.hpp"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <boost/program_options/variables_map.hpp>

#include <charconv>
#include <cmath>
#include <istream>
#include <ostream>
#include <stdexcept>
#include <string_view>

namespace po = boost::program_options;

namespace image_server {

namespace {

// A number of bytes that may end in K, M or G.
struct ByteCount {
    std::uint64_t value = 0;
};

std::istream& operator>>(std::istream& in, ByteCount& count) {
    std::string text;
    in >> text;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, count.value);
    constexpr std::string_view units = "KMG";
    const std::size_t unit = rest == end ? 0 : units.find(*rest) + 1;
    const bool readable = error == std::errc() && (rest == end || (rest + 1 == end && unit != 0));
    if (!readable || count.value > (std::uint64_t{1} << 40U)) {
        in.setstate(std::ios::failbit);
    } else {
        count.value <<= 10U * unit;
    }
    return in;
}

std::ostream& operator<<(std::ostream& out, const ByteCount& count) {
    return count.value % (1U << 20U) == 0 ? out << (count.value >> 20U) << 'M' : out << count.value;
}

// An option whose value is set only by the user, and whose default is shown by --help.
template <class T>
po::typed_value<T>* number(T value) {
    return po::value<T>()->default_value(value);
}

po::options_description visible_options(const Options& defaults) {
    const auto bytes = [](std::uint64_t count) {
        return number(ByteCount{count});
    };
    const auto seconds = [](std::chrono::milliseconds time) {
        return number(std::chrono::duration<double>(time).count());
    };
    po::options_description options("image_server [OPTION]...  makes thumbnails over HTTP");
    auto add = options.add_options();
    add("help,h", "show this and end");
    add("address", number(defaults.address), "address to listen on");
    add("port", number(defaults.port), "port to listen on; 0 for any");
    add("workers", po::value<int>(), "processes that decode images; default: the processors");
    add("threads", number(defaults.threads), "threads for checksums");
    add("max-queue", number(defaults.max_queue), "uploads that wait for a worker; then 503");
    add("max-connections", number(defaults.max_connections), "connections open at a time");
    add("max-body", bytes(defaults.max_body), "size of an upload, such as 10M");
    add("upload-memory", bytes(defaults.upload_memory), "memory for all uploads under way");
    add("max-pixels", number(defaults.max_pixels), "pixels of an upload");
    add("memory-limit", bytes(defaults.memory_limit), "address space of a worker; 0 for no limit");
    add("task-timeout", seconds(defaults.task_timeout), "seconds a worker has for an image");
    add("request-timeout",
        seconds(defaults.request_timeout),
        "seconds for an upload to arrive, and again for its answer to be ready");
    add("idle-timeout", seconds(defaults.idle_timeout), "seconds between requests");
    add("drain-seconds", seconds(defaults.drain_time), "time to finish after SIGTERM or SIGINT");
    return options;
}

std::chrono::milliseconds
duration(const po::variables_map& values, const char* name, double least) {
    const double seconds = values[name].as<double>();
    if (!(seconds >= least && seconds <= 86'400)) {
        throw std::invalid_argument(std::string("--") + name + " is out of range");
    }
    return std::chrono::milliseconds(std::llround(seconds * 1000));
}

// "-1" would be read as a huge number by a type without sign.
template <class T>
T at_least(T least, T value, const char* name) {
    if (value < least || value > std::uint32_t{1} << 31U) {
        throw std::invalid_argument(std::string("--") + name + " is out of range");
    }
    return value;
}

Options read(const po::variables_map& values) {
    Options options;
    options.address = values["address"].as<std::string>();
    options.port = values["port"].as<std::uint16_t>();
    if (values.contains("workers")) {
        options.workers = values["workers"].as<int>();
    }
    options.threads = values["threads"].as<int>();
    options.max_queue =
        at_least<std::size_t>(1, values["max-queue"].as<std::size_t>(), "max-queue");
    options.max_connections =
        at_least<std::size_t>(1, values["max-connections"].as<std::size_t>(), "max-connections");
    options.max_body = values["max-body"].as<ByteCount>().value;
    options.upload_memory = values["upload-memory"].as<ByteCount>().value;
    options.max_pixels =
        at_least<std::uint64_t>(1, values["max-pixels"].as<std::uint64_t>(), "max-pixels");
    options.memory_limit = values["memory-limit"].as<ByteCount>().value;
    options.task_timeout = duration(values, "task-timeout", 0.001);
    options.request_timeout = duration(values, "request-timeout", 0.001);
    options.idle_timeout = duration(values, "idle-timeout", 0.001);
    options.drain_time = duration(values, "drain-seconds", 0);
    options.test_hooks = values.contains("test-hooks");
    return options;
}

}  // namespace

std::optional<Options> parse_options(int argc, char** argv, std::ostream& help) {
    const po::options_description visible = visible_options(Options());
    po::options_description all;
    all.add(visible).add_options()("test-hooks", "for tests: some uploads make workers misbehave");

    po::variables_map values;
    po::store(po::command_line_parser(argc, argv).options(all).positional({}).run(), values);
    po::notify(values);
    if (values.contains("help")) {
        help << visible;
        return std::nullopt;
    }
    return read(values);
}

}  // namespace image_server
