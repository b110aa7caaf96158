// For those who come from Python's asyncio: what its calls about threads are called here.
//
//     asyncio                                          here
//     await loop.run_in_executor(pool, fn, x)          co_await pool.submit(fn, x)
//     await asyncio.wrap_future(future)                co_await future
//     asyncio.run_coroutine_threadsafe(coro(), loop)   submit(io.get_executor(), coro)
//     await asyncio.wait_for(future, 1)                co_await future.async_result_for(1s)
//     await asyncio.wait(futures, return_when=...)     co_await async_wait(futures, ...)
//     for f in asyncio.as_completed(futures): ...      async_as_completed(futures), then next()
//     loop.call_soon_threadsafe(fn)                    future.add_done_callback(io.get_executor(),
//     fn)

#include <cofutures/as_completed.hpp>
#include <cofutures/asio_executor.hpp>
#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/wait.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

int failures = 0;

void check(bool right) {
    if (!right) {
        std::cout << "    WRONG\n";
        ++failures;
    }
}

// Blocks its thread: what must not happen on the event loop.
int blocking_io(int hundredths) {
    std::this_thread::sleep_for(hundredths * 10ms);
    return hundredths;
}

// async def main(): the event loop runs it, here as there.
asio::awaitable<std::string> async_main(cofutures::ThreadPoolExecutor& pool) {
    // result = await loop.run_in_executor(pool, blocking_io, 1)
    const int one = co_await pool.submit(blocking_io, 1);
    std::cout << "run_in_executor gave " << one << '\n';

    // await asyncio.wait_for(asyncio.wrap_future(slow), 0.005)
    const auto slow = pool.submit(blocking_io, 20);
    bool timed_out = false;
    try {
        co_await slow.async_result_for(5ms);
    } catch (const cofutures::TimeoutError&) {
        timed_out = true;
    }
    std::cout << "wait_for ran out of time, and unlike asyncio's cancelled nothing\n";
    check(timed_out);

    // for earliest in asyncio.as_completed(futures): print(await earliest)
    std::vector<cofutures::Future<int>> futures;
    for (const int length : {6, 1, 3}) {
        futures.push_back(pool.submit(blocking_io, length));
    }
    auto completed = cofutures::async_as_completed(futures);
    int sum = 0;
    while (const auto earliest = co_await completed.next()) {
        std::cout << "    " << earliest->result() << " is there\n";
        sum += earliest->result();
    }
    check(sum == 10);

    // done, pending = await asyncio.wait(futures, return_when=asyncio.ALL_COMPLETED)
    const auto [done, pending] = co_await cofutures::async_wait(futures);
    check(done.size() == 3 && pending.empty());

    // await asyncio.sleep(0.01)
    asio::steady_timer timer(co_await asio::this_coro::executor, 10ms);
    co_await timer.async_wait(asio::use_awaitable);

    co_return "main is through, slow gave " + std::to_string(co_await slow);
}

}  // namespace

int main() {
    cofutures::ThreadPoolExecutor pool(4);
    asio::io_context loop(1);

    // The loop runs on a thread of its own, and this one hands it coroutines:
    // asyncio.run_coroutine_threadsafe(main(), loop).result()
    auto forever = asio::make_work_guard(loop);
    std::thread thread([&loop] { loop.run(); });
    const cofutures::Future<std::string> result =
        cofutures::submit(loop.get_executor(), async_main, std::ref(pool));
    std::cout << result.result() << '\n';
    check(result.result() == "main is through, slow gave 20");

    forever.reset();  // loop.stop(), when all is done
    thread.join();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
