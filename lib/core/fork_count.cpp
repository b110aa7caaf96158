#include "core/fork_count.hpp"

#include "core/wait_graph.hpp"

#if defined(__unix__)
#    include <pthread.h>
#endif

namespace cofutures::detail {

void watch_forks() {
#if defined(__unix__)
    // The wait graph belongs to no pool, so pools that the child makes for itself use it too: the
    // thread that forks holds its lock meanwhile.
    static const bool watched = [] {
        pthread_atfork(
            [] { wait_graph_mutex.lock(); },
            [] { wait_graph_mutex.unlock(); },
            [] {
                forget_waits();
                forks_so_far.fetch_add(1, std::memory_order_relaxed);
                wait_graph_mutex.unlock();
            }
        );
        return true;
    }();
    static_cast<void>(watched);
#endif
}

}  // namespace cofutures::detail
