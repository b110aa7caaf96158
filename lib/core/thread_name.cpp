#include "core/thread_name.hpp"

#include <algorithm>

#if defined(__linux__)
#    include <pthread.h>
#endif

namespace cofutures::detail {

void name_this_thread(const std::string& prefix, std::size_t index) noexcept {
#if defined(__linux__)
    constexpr std::size_t room = 15;
    try {
        const std::string suffix = '_' + std::to_string(index);
        const std::size_t kept = suffix.size() < room ? room - suffix.size() : 0;
        const std::string name = prefix.substr(0, std::min(prefix.size(), kept)) + suffix;
        pthread_setname_np(pthread_self(), name.c_str());
    } catch (...) {
        return;  // a name is worth no failure
    }
#else
    static_cast<void>(prefix);
    static_cast<void>(index);
#endif
}

}  // namespace cofutures::detail
