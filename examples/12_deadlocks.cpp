// The two examples that Python's documentation gives of deadlocks in a thread pool, and how they
// end here: a wait inside a task runs what it waits for, or says that it would never end.

#include <cofutures/error.hpp>
#include <cofutures/future.hpp>
#include <cofutures/thread_pool_executor.hpp>

#include <cstdlib>
#include <iostream>

using cofutures::Future;
using cofutures::ThreadPoolExecutor;

namespace {

int failures = 0;

void check(bool right) {
    if (!right) {
        std::cout << "    WRONG\n";
        ++failures;
    }
}

int wait_on_b(const Future<void>& submitted, const Future<int>& b) {
    submitted.wait();
    return b.result();  // b will never end, because it waits for a
}

int wait_on_a(const Future<void>& submitted, const Future<int>& a) {
    submitted.wait();
    return a.result();  // a will never end, because it waits for b
}

void two_tasks_that_wait_for_each_other() {
    std::cout << "Two tasks that wait for each other\n";
    ThreadPoolExecutor executor(2);
    cofutures::Promise<void> both_submitted;
    const Future<void> submitted = both_submitted.get_future();
    Future<int> a;
    Future<int> b;
    a = executor.submit({.name = "a"}, [&] { return wait_on_b(submitted, b); });
    b = executor.submit({.name = "b"}, [&] { return wait_on_a(submitted, a); });
    both_submitted.set_result();
    int deadlocks = 0;
    for (const Future<int>& future : {a, b}) {
        try {
            future.result();
        } catch (const cofutures::DeadlockError& error) {
            std::cout << "    DeadlockError: " << error.what() << '\n';
            ++deadlocks;
        }
    }
    // The one that threw ended, and the other one got its exception.
    check(deadlocks == 2);
}

void a_task_that_waits_for_one_behind_it() {
    std::cout << "A task that waits for another one, in a pool of one thread\n";
    ThreadPoolExecutor executor(1);
    const auto wait_on_future = [&executor] {
        const Future<int> future = executor.submit([](int base) { return base * base; }, 5);
        // Python waits for ever: there is only one thread, and it runs this function. Here it runs
        // the other one too.
        return future.result();
    };
    const int square = executor.submit(wait_on_future).result();
    std::cout << "    5 squared is " << square << '\n';
    check(square == 25);
}

}  // namespace

int main() {
    two_tasks_that_wait_for_each_other();
    a_task_that_waits_for_one_behind_it();
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
