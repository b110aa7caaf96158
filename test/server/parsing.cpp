#include "metrics.hpp"

#include "options.hpp"
#include "routes.hpp"

#define BOOST_TEST_MODULE parsing
#include <boost/test/unit_test.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

using namespace image_server;
using namespace std::chrono_literals;
namespace http = boost::beast::http;

namespace {

std::variant<Call, RefusedCall> ask(http::verb method, std::string_view target) {
    RequestHeader header;
    header.method(method);
    header.target(target);
    return understand(header);
}

Call post(std::string_view target) {
    return std::get<Call>(ask(http::verb::post, target));
}

unsigned refusal(http::verb method, std::string_view target) {
    return std::get<RefusedCall>(ask(method, target)).response.result_int();
}

std::optional<Options> parse(std::vector<std::string> words) {
    words.insert(words.begin(), "image_server");
    std::vector<char*> pointers;
    for (std::string& word : words) {
        pointers.push_back(word.data());
    }
    std::ostringstream help;
    return parse_options(static_cast<int>(pointers.size()), pointers.data(), help);
}

// Values by name and labels; checks each line on the way.
std::map<std::string, double> parse_prometheus(const std::string& text) {
    const std::regex line_form(
        R"re(([a-z_:][a-z0-9_:]*(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})?) (\S+))re"
    );
    std::map<std::string, double> values;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) {
            continue;
        }
        std::smatch match;
        BOOST_REQUIRE_MESSAGE(std::regex_match(line, match, line_form), line);
        BOOST_TEST(values.emplace(match[1], std::stod(match[4])).second, line << " is twice there");
    }
    return values;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(parsing)

BOOST_AUTO_TEST_CASE(a_thumbnail_has_size_and_format) {
    BOOST_TEST(post("/thumbnail").side == 256U);
    BOOST_TEST(!post("/thumbnail").format);
    BOOST_TEST(post("/thumbnail?size=1").side == 1U);
    BOOST_TEST(post("/thumbnail?size=2048&format=png").side == 2048U);
    BOOST_TEST((post("/thumbnail?format=jpeg").format == Format::jpeg));
    BOOST_TEST((post("/thumbnail?format=%70ng").format == Format::png));
}

BOOST_AUTO_TEST_CASE(a_bad_query_is_refused) {
    for (const char* query :
         {"size=0",
          "size=2049",
          "size=",
          "size=-1",
          "size=1x",
          "size=99999999999",
          "format=gif",
          "sise=1"}) {
        BOOST_TEST(refusal(http::verb::post, std::string("/thumbnail?") + query) == 400U, query);
    }
    BOOST_TEST(refusal(http::verb::post, "http://[bad/") == 400U);
}

BOOST_AUTO_TEST_CASE(each_route_has_its_methods) {
    BOOST_TEST((std::get<Call>(ask(http::verb::get, "/metrics")).route == Route::metrics));
    BOOST_TEST((std::get<Call>(ask(http::verb::head, "/")).route == Route::page));
    BOOST_TEST(refusal(http::verb::get, "/thumbnail") == 405U);
    BOOST_TEST(refusal(http::verb::post, "/") == 405U);
    BOOST_TEST(refusal(http::verb::get, "/nothing") == 404U);
    const auto refused = std::get<RefusedCall>(ask(http::verb::delete_, "/stats"));
    BOOST_TEST(refused.response[http::field::allow] == "GET, HEAD");
}

BOOST_AUTO_TEST_CASE(options_have_defaults_and_units) {
    const Options defaults = *parse({});
    BOOST_TEST(defaults.port == 8080);
    BOOST_TEST(!defaults.workers);
    BOOST_TEST(!defaults.test_hooks);
    const Options given = *parse(
        {"--port",
         "0",
         "--max-body=3K",
         "--memory-limit=1G",
         "--task-timeout",
         "0.25",
         "--workers=3",
         "--test-hooks"}
    );
    BOOST_TEST(given.port == 0);
    BOOST_TEST(given.max_body == 3072U);
    BOOST_TEST(given.memory_limit == std::uint64_t{1} << 30U);
    BOOST_TEST((given.task_timeout == 250ms));
    BOOST_TEST(given.workers.value() == 3);
    BOOST_TEST(given.test_hooks);
    BOOST_TEST(!parse({"--help"}));
}

BOOST_AUTO_TEST_CASE(bad_options_are_refused) {
    for (const char* option :
         {"--max-queue=0",
          "--max-queue=-1",
          "--task-timeout=0",
          "--task-timeout=-1",
          "--max-body=x",
          "--max-body=1T",
          "--port=70000",
          "--no-such-option",
          "word"}) {
        BOOST_CHECK_THROW(static_cast<void>(parse({option})), std::exception);
    }
}

BOOST_AUTO_TEST_CASE(a_histogram_counts_up_to_each_bound) {
    Histogram histogram;
    BOOST_TEST(histogram.recent_quantile(0.5).count() == 0);
    for (int i = 1; i <= 100; ++i) {
        histogram.observe(std::chrono::milliseconds(i));
    }
    BOOST_TEST(histogram.at_most(1) == 1U);  // 1 ms, the bound included
    BOOST_TEST(histogram.at_most(4) == 10U);
    BOOST_TEST(histogram.at_most(7) == 100U);
    BOOST_TEST(histogram.recent_quantile(0.5).count() == 0.050, boost::test_tools::tolerance(1e-9));
    BOOST_TEST(
        histogram.recent_quantile(0.99).count() == 0.099, boost::test_tools::tolerance(1e-9)
    );
    BOOST_TEST(histogram.largest().count() == 0.100, boost::test_tools::tolerance(1e-9));
    histogram.observe(100s);
    BOOST_TEST(histogram.at_most(Histogram::bounds.size() - 1) == 100U);
    BOOST_TEST(histogram.count() == 101U);
}

BOOST_AUTO_TEST_CASE(metrics_can_be_parsed) {
    Metrics metrics;
    metrics.requests[{"thumbnail", 200}] = 3;
    metrics.request_time["thumbnail"].observe(3ms);
    metrics.clients_left = 2;
    PoolStats pools;
    pools.processes.workers = 4;
    pools.threads.completed = 5;
    const auto values = parse_prometheus(to_prometheus(metrics, pools));
    const auto at = [&](const char* name) {
        return values.at(name);
    };
    BOOST_TEST(at(R"(image_server_requests_total{route="thumbnail",code="200"})") == 3);
    BOOST_TEST(at(R"(image_server_request_seconds_bucket{route="thumbnail",le="0.002"})") == 0);
    BOOST_TEST(at(R"(image_server_request_seconds_bucket{route="thumbnail",le="0.005"})") == 1);
    BOOST_TEST(at(R"(image_server_request_seconds_bucket{route="thumbnail",le="+Inf"})") == 1);
    BOOST_TEST(at("image_server_clients_left_total") == 2);
    BOOST_TEST(at(R"(cofutures_pool_workers{pool="processes"})") == 4);
    BOOST_TEST(at(R"(cofutures_pool_completed_total{pool="threads"})") == 5);
}

BOOST_AUTO_TEST_SUITE_END()
