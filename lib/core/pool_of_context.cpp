#include "core/pool_of_context.hpp"

#include <cofutures/detail/place_on.hpp>

namespace cofutures::detail {

boost::asio::execution_context::id PoolOfContext::id;

const TaskPlace* place_in(boost::asio::execution_context& context) noexcept {
    namespace asio = boost::asio;
    return asio::has_service<PoolOfContext>(context)
               ? asio::use_service<PoolOfContext>(context).handlers()
               : nullptr;
}

}  // namespace cofutures::detail
