#pragma once

namespace image_server {

/// Lets this process open as many descriptors as the system grants: each connection is one.
void raise_descriptor_limit() noexcept;

}  // namespace image_server
