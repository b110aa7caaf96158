#pragma once

#include "http.hpp"
#include "thumbnail.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace image_server {

enum class Route : std::uint8_t { page, health, stats, metrics, thumbnail, other };

/// What metrics call it.
[[nodiscard]] std::string_view name_of(Route route) noexcept;

/// What a request asks for.
struct Call {
    Route route = Route::other;
    std::uint32_t side = 256;
    std::optional<Format> format = std::nullopt;
};

/// A request that is refused for what its header says.
struct RefusedCall {
    Route route = Route::other;
    Response response;
};

/// Reads a request's header; no byte of the body is needed.
[[nodiscard]] std::variant<Call, RefusedCall> understand(const RequestHeader& header);

}  // namespace image_server
