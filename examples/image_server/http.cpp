#include "http.hpp"

#include <boost/beast/http/field.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace http = boost::beast::http;
namespace json = boost::json;

namespace image_server {

Response text_response(http::status status, std::string_view content_type, std::string_view text) {
    Response response(status, 11);
    response.set(http::field::content_type, content_type);
    response.set(http::field::cache_control, "no-store");
    response.body().assign(text.begin(), text.end());
    return response;
}

Response error_response(http::status status, std::string_view error, std::string_view message) {
    const json::object object = {{"error", error}, {"message", message}};
    return text_response(status, "application/json", json::serialize(object));
}

}  // namespace image_server
