#include "routes.hpp"

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <charconv>
#include <stdexcept>
#include <string>
#include <utility>

namespace http = boost::beast::http;
namespace urls = boost::urls;

namespace image_server {

namespace {

Route route_of(std::string_view path) {
    constexpr std::pair<std::string_view, Route> routes[] = {
        {"/", Route::page},
        {"/healthz", Route::health},
        {"/stats", Route::stats},
        {"/metrics", Route::metrics},
        {"/thumbnail", Route::thumbnail},
    };
    for (const auto& [known, route] : routes) {
        if (path == known) {
            return route;
        }
    }
    return Route::other;
}

std::uint32_t parse_side(const std::string& text) {
    std::uint32_t side = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, side);
    if (error != std::errc() || rest != end || side < 1 || side > max_thumbnail_side) {
        throw std::invalid_argument(
            "size must be a number from 1 to " + std::to_string(max_thumbnail_side)
        );
    }
    return side;
}

Format parse_format(const std::string& text) {
    if (text == "png") {
        return Format::png;
    }
    if (text == "jpeg" || text == "jpg") {
        return Format::jpeg;
    }
    throw std::invalid_argument("format must be png or jpeg");
}

Call parse_query(const urls::url_view& url) {
    Call call{.route = Route::thumbnail};
    for (const auto& parameter : url.params()) {
        if (parameter.key == "size") {
            call.side = parse_side(parameter.value);
        } else if (parameter.key == "format") {
            call.format = parse_format(parameter.value);
        } else {
            throw std::invalid_argument("unknown parameter; there are size and format");
        }
    }
    return call;
}

RefusedCall wrong_method(Route route, std::string_view allowed) {
    RefusedCall refused{
        .route = route,
        .response = error_response(
            http::status::method_not_allowed,
            "method_not_allowed",
            "allowed here: " + std::string(allowed)
        ),
    };
    refused.response.set(http::field::allow, allowed);
    return refused;
}

}  // namespace

std::string_view name_of(Route route) noexcept {
    switch (route) {
    case Route::page:
        return "page";
    case Route::health:
        return "health";
    case Route::stats:
        return "stats";
    case Route::metrics:
        return "metrics";
    case Route::thumbnail:
        return "thumbnail";
    case Route::other:
        break;
    }
    return "other";
}

std::variant<Call, RefusedCall> understand(const RequestHeader& header) {
    const auto url = urls::parse_origin_form(header.target());
    if (!url) {
        return RefusedCall{
            .response =
                error_response(http::status::bad_request, "bad_target", "the target is no path")};
    }
    const Route route = route_of(url->path());
    if (route == Route::other) {
        return RefusedCall{
            .response = error_response(
                http::status::not_found,
                "not_found",
                "there are: POST /thumbnail, GET / /stats /metrics /healthz"
            )};
    }
    const http::verb method = header.method();
    if (route != Route::thumbnail) {
        if (method != http::verb::get && method != http::verb::head) {
            return wrong_method(route, "GET, HEAD");
        }
        return Call{.route = route};
    }
    if (method != http::verb::post) {
        return wrong_method(route, "POST");
    }
    try {
        return parse_query(*url);
    } catch (const std::invalid_argument& error) {
        return RefusedCall{
            .route = route,
            .response = error_response(http::status::bad_request, "bad_query", error.what())};
    }
}

}  // namespace image_server
