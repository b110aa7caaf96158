#pragma once

#include <cofutures/codec.hpp>
#include <cofutures/export.hpp>

#include <exception>
#include <string_view>

namespace cofutures::detail {

/// Appends an exception as a worker process sends it.
///
/// @param task  Name of the task that threw it, for its trace.
COFUTURES_EXPORT void
encode_failure(Encoder& encoder, const std::exception_ptr& error, std::string_view task);

/// Makes an exception of the same type again, or a RemoteError, as submit() does.
///
/// @throws SerializationError  if the bytes are no exception.
[[nodiscard]] COFUTURES_EXPORT std::exception_ptr decode_failure(Decoder& decoder);

}  // namespace cofutures::detail
