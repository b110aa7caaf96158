// expect: a coroutine cannot be sent to another process
#include <cofutures/process_pool_executor.hpp>

#include <boost/asio/awaitable.hpp>

boost::asio::awaitable<int> twice(int value) {
    co_return 2 * value;
}

void send(cofutures::ProcessPoolExecutor& pool) {
    pool.submit(twice, 1);
}
