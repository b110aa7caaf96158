#include "process/exception_types.hpp"

#include <cofutures/register_exception.hpp>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>

#include <cxxabi.h>

namespace cofutures {

namespace {

constexpr std::size_t max_name = std::size_t{64} * 1024;

constinit std::mutex adding_mutex;  // held by who adds a type
constinit std::atomic<const detail::ExceptionType*> last_added{nullptr};

/// `std::throw_with_nested(E)` and `boost::throw_exception(E)` throw types of their own that are
/// derived from `E`: these, the first one in libstdc++.
std::string without_wrappers(std::string_view name) {
    for (const std::string_view wrapper : {"std::_Nested_exception<", "boost::wrapexcept<"}) {
        if (name.starts_with(wrapper) && name.ends_with('>')) {
            name.remove_prefix(wrapper.size());
            name.remove_suffix(1);
            while (name.ends_with(' ')) {
                name.remove_suffix(1);
            }
        }
    }
    return std::string(name.substr(0, max_name));
}

}  // namespace

std::string process::name_of(const std::type_info* type) {
    if (type == nullptr) {
        return "unknown";
    }
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> name(
        abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), &std::free
    );
    return without_wrappers(name ? name.get() : type->name());
}

const detail::ExceptionType* process::find_exception_type(std::string_view name) {
    const auto* type = last_added.load(std::memory_order_acquire);
    while (type != nullptr && name != name_of(type->type)) {
        type = type->next;
    }
    return type;
}

void detail::add_exception_type(ExceptionType& type) {
    const std::lock_guard lock(adding_mutex);
    const std::string name = process::name_of(type.type);
    if (const ExceptionType* const known = process::find_exception_type(name)) {
        if (*known->type == *type.type) {
            return;
        }
        throw std::invalid_argument(
            "another exception type is registered as " + name +
            "; of two in unnamed namespaces that are named alike only one can be"
        );
    }
    type.next = last_added.load(std::memory_order_relaxed);
    last_added.store(&type, std::memory_order_release);
}

}  // namespace cofutures
