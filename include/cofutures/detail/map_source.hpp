#pragma once

#include <optional>

namespace cofutures::detail {

/// What a MapRange reads from.
template <class Value>
class MapSource {
public:
    MapSource(const MapSource&) = delete;
    MapSource& operator=(const MapSource&) = delete;
    virtual ~MapSource() = default;

    /// Waits for the next result and puts it there, where nothing is; leaves nothing at the end.
    /// Not by return: what is read at once again would have to be fetched from several stores.
    virtual void next(std::optional<Value>& result) = 0;
    virtual void close() noexcept = 0;

protected:
    MapSource() = default;
};

}  // namespace cofutures::detail
