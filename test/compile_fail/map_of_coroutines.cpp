// expect: NoCoroutine
#include <cofutures/executor.hpp>

#include <boost/asio/awaitable.hpp>

#include <vector>

boost::asio::awaitable<int> twice(int value) {
    co_return 2 * value;
}

void map_it(cofutures::Executor& executor) {
    executor.map(twice, std::vector<int>{1, 2});
}
