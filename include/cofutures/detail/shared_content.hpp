#pragma once

#include <cofutures/export.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace cofutures::detail {

/// What a Shared is a handle on, whatever the value's type: its name, and the encoded copies that
/// pools have of it.
class COFUTURES_EXPORT SharedContent {
public:
    SharedContent(const SharedContent&) = delete;
    SharedContent& operator=(const SharedContent&) = delete;
    virtual ~SharedContent();

    /// Names it among all that this process shares.
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

    /// Appends the encoded value. Throws what encoding throws.
    virtual void encode(std::vector<std::byte>& out) const = 0;

    /// The copy that belongs to `owner`; made by `make`, which may give none, if there is no such
    /// copy yet. One thread at a time makes copies.
    std::shared_ptr<void>
    copy_of(const std::shared_ptr<void>& owner, const std::function<std::shared_ptr<void>()>& make);

protected:
    SharedContent();

private:
    struct Copy {
        std::weak_ptr<void> owner;
        std::shared_ptr<void> copy;
    };

    const std::uint64_t id_;
    std::mutex mutex_;  // guards copies_
    std::vector<Copy> copies_;
};

}  // namespace cofutures::detail
