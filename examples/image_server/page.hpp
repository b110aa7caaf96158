#pragma once

#include <string_view>

namespace image_server {

/// The page that `GET /` gives: page.html, with style and script inside.
extern const std::string_view page;

}  // namespace image_server
