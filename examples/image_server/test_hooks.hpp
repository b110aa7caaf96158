#pragma once

#include "image.hpp"

#include <string_view>

namespace image_server {

/// What an upload begins with that asks a worker to misbehave.
inline constexpr std::string_view test_hook_prefix = "image-server-test:";

/// For tests only, with --test-hooks: stands for a hole in a decoder that a hostile file has found.
///
/// After the prefix comes `crash`, `exit`, `eat` (memory, up to a bound that spares the machine),
/// `spin` (for ever) or `hold FILE` (as long as that file is there). Other uploads are left alone.
void obey_test_hook(BytesView upload);

}  // namespace image_server
