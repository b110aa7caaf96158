#include <cofutures/detail/shared_content.hpp>

#include <algorithm>
#include <atomic>

namespace cofutures::detail {

namespace {

std::uint64_t next_id() noexcept {
    static constinit std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

SharedContent::SharedContent() : id_(next_id()) {}

SharedContent::~SharedContent() = default;

std::shared_ptr<void> SharedContent::copy_of(
    const std::shared_ptr<void>& owner, const std::function<std::shared_ptr<void>()>& make
) {
    const std::lock_guard lock(mutex_);
    std::erase_if(copies_, [](const Copy& copy) { return copy.owner.expired(); });
    const auto found = std::ranges::find_if(copies_, [&](const Copy& copy) {
        return !copy.owner.owner_before(owner) && !owner.owner_before(copy.owner);
    });
    if (found != copies_.end()) {
        return found->copy;
    }
    copies_.reserve(copies_.size() + 1);
    std::shared_ptr<void> copy = make();
    if (copy != nullptr) {
        copies_.push_back({owner, copy});
    }
    return copy;
}

}  // namespace cofutures::detail
