#pragma once

#include "image.hpp"

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/vector_body.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace image_server {

using Body = boost::beast::http::vector_body<std::uint8_t>;
using RequestHeader = boost::beast::http::request_header<>;
using Response = boost::beast::http::response<Body>;

/// An answer with a text as its body.
[[nodiscard]] Response text_response(
    boost::beast::http::status status, std::string_view content_type, std::string_view text
);

/// An answer that says what went wrong: `{"error":"malformed","message":"..."}`.
[[nodiscard]] Response
error_response(boost::beast::http::status status, std::string_view error, std::string_view message);

}  // namespace image_server
