#include <cofutures/future.hpp>

#define BOOST_TEST_MODULE unobserved_exception
#include <boost/test/unit_test.hpp>

#include <cofutures/promise.hpp>
#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/wait.hpp>

#include <atomic>
#include <exception>
#include <stdexcept>
#include <vector>

using namespace cofutures;

namespace {

std::atomic<int> told{0};

// Counts what is told as long as it lives.
class Handler {
public:
    Handler()
        : before_(set_unobserved_exception_handler([](std::exception_ptr error) noexcept {
              told += error != nullptr ? 1 : 0;
          })) {
        told = 0;
    }
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;
    ~Handler() { set_unobserved_exception_handler(before_); }

private:
    void (*before_)(std::exception_ptr) noexcept;
};

Future<int> failed() {
    Promise<int> promise;
    promise.set_exception(std::make_exception_ptr(std::runtime_error("nobody looks")));
    return promise.get_future();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(unobserved_exception)

BOOST_AUTO_TEST_CASE(there_is_no_handler_by_default) {
    BOOST_TEST((set_unobserved_exception_handler(nullptr) == nullptr));
    failed();
}

BOOST_AUTO_TEST_CASE(an_exception_that_nobody_looked_at_is_told_once) {
    const Handler handler;
    {
        const auto future = failed();
        const auto copy = future;
        BOOST_TEST(future.done());
        BOOST_TEST(future.wait());
        BOOST_TEST(told == 0);
    }
    BOOST_TEST(told == 1);
}

BOOST_AUTO_TEST_CASE(one_that_was_read_is_not_told) {
    const Handler handler;
    BOOST_CHECK_THROW(failed().result(), std::runtime_error);
    BOOST_TEST((failed().exception() != nullptr));
    failed().add_done_callback([] {});
    failed().then([](int) {}).or_else([](std::exception_ptr) {});
    BOOST_TEST(told == 0);
}

BOOST_AUTO_TEST_CASE(waiting_is_not_looking) {
    const Handler handler;
    wait(std::vector<Future<int>>{failed(), failed()});
    BOOST_TEST(told == 2);
}

BOOST_AUTO_TEST_CASE(the_end_of_a_chain_is_told_once) {
    const Handler handler;
    failed().then([](int) {}).then([] {});
    BOOST_TEST(told == 1);
}

BOOST_AUTO_TEST_CASE(a_dropped_future_of_a_failing_call_is_told) {
    const Handler handler;
    ThreadPoolExecutor pool(1);
    pool.submit([] { throw 1; });
    pool.submit([] {});
    pool.shutdown();
    BOOST_TEST(told == 1);
}

BOOST_AUTO_TEST_CASE(values_and_cancellations_are_no_exceptions) {
    const Handler handler;
    Promise<int> value;
    value.set_result(1);
    Promise<int> cancelled;
    cancelled.get_future().cancel();
    BOOST_TEST(told == 0);
}

BOOST_AUTO_TEST_SUITE_END()
