#include <cofutures/detail/callback_error.hpp>

#include <cofutures/future.hpp>
#include <cofutures/detail/type_label.hpp>

#include <boost/core/demangle.hpp>

#include <atomic>
#include <cstdio>
#include <exception>
#include <string>
#include <typeinfo>

namespace cofutures {

namespace {

using Handler = void (*)(std::exception_ptr) noexcept;

void write_to_stderr(std::exception_ptr error) noexcept {
    try {
        std::rethrow_exception(std::move(error));
    } catch (const std::exception& exception) {
        std::fprintf(
            stderr,
            "cofutures: exception calling a done callback: %s: %s\n",
            boost::core::demangle(typeid(exception).name()).c_str(),
            exception.what()
        );
    } catch (...) {
        std::fputs("cofutures: exception of unknown type calling a done callback\n", stderr);
    }
}

constinit std::atomic<Handler> installed_handler{&write_to_stderr};
constinit std::atomic<Handler> unobserved_handler{nullptr};

}  // namespace

void (*set_callback_error_handler(void (*handler)(std::exception_ptr) noexcept) noexcept
)(std::exception_ptr) noexcept {
    return installed_handler.exchange(handler == nullptr ? &write_to_stderr : handler);
}

void (*set_unobserved_exception_handler(void (*handler)(std::exception_ptr) noexcept) noexcept
)(std::exception_ptr) noexcept {
    return unobserved_handler.exchange(handler);
}

namespace detail {

void report_unobserved_exception(const std::exception_ptr& error) noexcept {
    if (const Handler handler = unobserved_handler.load()) {
        handler(error);
    }
}

void report_callback_error(std::exception_ptr error) noexcept {
    installed_handler.load()(std::move(error));
}

std::string readable_name(const std::type_info& type) {
    return boost::core::demangle(type.name());
}

}  // namespace detail
}  // namespace cofutures
