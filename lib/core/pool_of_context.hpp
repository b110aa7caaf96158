#pragma once

#include "core/task_place.hpp"

#include <boost/asio/execution_context.hpp>

namespace cofutures::detail {

/// Says whose workers run the handlers of an Asio context: the pool makes it there.
class PoolOfContext final : public boost::asio::execution_context::service {
public:
    using key_type = PoolOfContext;
    static boost::asio::execution_context::id id;

    /// For a context that is no pool's, as Asio wants it; nobody asks for that.
    explicit PoolOfContext(boost::asio::execution_context& context) : service(context) {}
    PoolOfContext(boost::asio::execution_context& context, const TaskPool& pool)
        : service(context), handlers_(&pool.handlers()) {}

    /// The place of what the context has.
    [[nodiscard]] const TaskPlace* handlers() const noexcept { return handlers_; }

private:
    void shutdown() noexcept override {}

    const TaskPlace* const handlers_ = nullptr;
};

}  // namespace cofutures::detail
