#include "core/wait_graph.hpp"

#define BOOST_TEST_MODULE wait_graph
#include <boost/test/unit_test.hpp>

#include <cofutures/error.hpp>
#include <cofutures/promise.hpp>

#include "support/gate.hpp"
#include "support/leak_check.hpp"
#include "support/thread_state.hpp"

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <unistd.h>

// What no pool of the library brings about, and a destructor must come out of all the same.

using namespace cofutures;
using namespace cofutures::test;

BOOST_TEST_GLOBAL_FIXTURE(LeakCheck);

namespace {

class Pool final : public detail::TaskPool {
public:
    explicit Pool(std::string name) : name_(std::move(name)) {}

    [[nodiscard]] std::size_t most_workers() const noexcept override { return most; }
    [[nodiscard]] bool runs_in_place() const noexcept override { return false; }
    [[nodiscard]] const char* worker_label() const noexcept override { return name_.c_str(); }
    [[nodiscard]] std::string label() const override { return name_; }

    std::atomic<std::size_t> most{1};

private:
    const std::string name_;
};

template <class T>
detail::StateBase& state(const Promise<T>& promise) {
    return detail::FutureAccess::state(promise.get_future());
}

// A worker of a pool in a thread of its own, which waits for a future and then ends another.
class Waiter {
public:
    Waiter(Pool& pool, const Future<void>& awaited, Promise<void>& ended)
        : thread_([&pool, awaited, &ended, this] {
              detail::WorkerContext context(pool);
              place_.set_result(&context);
              thread_id_.set_result(::gettid());
              try {
                  awaited.result();
              } catch (const DeadlockError& error) {
                  refusal_ = error.what();
              }
              {
                  const std::lock_guard lock(detail::wait_graph_mutex);
                  context.retire();
              }
              ended.set_result();
          }) {}

    [[nodiscard]] const detail::TaskPlace* place() { return place_.get_future().result(generous); }
    [[nodiscard]] bool sleeps() { return falls_asleep(thread_id_.get_future().result(generous)); }
    std::string refusal() {
        thread_.join();
        return refusal_;
    }

private:
    Promise<const detail::TaskPlace*> place_;
    Promise<pid_t> thread_id_;
    std::string refusal_;
    std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(test_wait_graph)

// Two workers wait for each other, as it looked as if the pool of one could have another worker.
BOOST_AUTO_TEST_CASE(a_cycle_that_nobody_closed_does_not_keep_a_destructor) {
    Pool one("one");
    Pool two("two");
    one.most = 2;
    Promise<void> queued;
    state(queued).set_place(&one);
    Promise<void> end_of_first;
    Promise<void> end_of_two;
    state(end_of_two).set_place(&two.end());

    Waiter second(two, queued.get_future(), end_of_two);
    state(end_of_first).set_place(second.place());
    BOOST_TEST(second.sleeps());
    Promise<void> unused;
    Waiter first(one, end_of_first.get_future(), unused);
    BOOST_TEST(first.sleeps());
    one.most = 1;

    detail::wait_for_end(state(end_of_two));
    BOOST_TEST(second.refusal() == "the wait would never end: two, which waits for itself");
    end_of_first.set_result();
    BOOST_TEST(first.refusal() == "");
    queued.set_result();
}

// A worker that others counted on did not come after all.
BOOST_AUTO_TEST_CASE(those_are_refused_that_can_count_on_nobody_any_more) {
    Pool one("one");
    Pool two("two");
    one.most = 2;
    Promise<void> queued;
    state(queued).set_place(&one);
    Promise<void> other;
    Promise<void> unused;
    Waiter stuck(one, queued.get_future(), unused);
    Promise<void> unused_too;
    Waiter patient(two, other.get_future(), unused_too);
    BOOST_TEST(stuck.sleeps());
    BOOST_TEST(patient.sleeps());

    const auto look_again = [] {
        const std::lock_guard lock(detail::wait_graph_mutex);
        detail::refuse_endless_waits();
    };
    look_again();
    BOOST_TEST(stuck.sleeps());
    one.most = 1;
    look_again();
    BOOST_TEST(stuck.refusal().starts_with("the wait would never end: one, which waits for "));
    other.set_result();
    BOOST_TEST(patient.refusal() == "");
    queued.set_result();
}

BOOST_AUTO_TEST_SUITE_END()
