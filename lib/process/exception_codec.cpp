#include "process/exception_codec.hpp"

#include <cofutures/error.hpp>
#include <cofutures/detail/exception_type.hpp>

#include "process/exception_types.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <any>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <variant>

#include <cxxabi.h>

namespace cofutures::process {

namespace {

constexpr std::size_t max_text = std::size_t{64} * 1024;
constexpr unsigned max_nested = 16;
constexpr const char* regex_category = "regex";  // its codes have none

std::string bounded(std::string_view text) {
    return std::string(text.substr(0, max_text));
}

/// `what()` of a careless class may be null.
std::string text_of(const char* text) {
    return text == nullptr ? std::string() : bounded(text);
}

// --- taking apart --------------------------------------------------------------------------------

/// Undoes what a constructor did that appended ": " and `suffix` to its message.
///
/// @returns  The message; empty if there was none.
std::string message_before(std::string_view what, std::string_view suffix) {
    if (what.ends_with(suffix)) {
        what.remove_suffix(suffix.size());
        if (what.ends_with(": ")) {
            what.remove_suffix(2);
        }
    }
    return bounded(what);
}

ErrorCodeDetail detail_of(const std::system_error& error) {
    // Not the virtual what(): filesystem_error makes its own out of this one.
    return {
        .message = message_before(error.std::system_error::what(), error.code().message()),
        .category = error.code().category().name(),
        .value = error.code().value(),
    };
}

WorkerDetail detail_of(std::string_view what, const WorkerExit& worker) {
    return {.message = message_before(what, worker.describe()), .worker = worker};
}

void add_detail(Failure& failure, const std::exception& error) {
    if (const auto* files = dynamic_cast<const std::filesystem::filesystem_error*>(&error)) {
        failure.detail = FilesystemDetail{
            .code = detail_of(*files),
            .path1 = files->path1().string(),
            .path2 = files->path2().string(),
        };
    } else if (const auto* system = dynamic_cast<const std::system_error*>(&error)) {
        failure.detail = detail_of(*system);
    } else if (const auto* boost = dynamic_cast<const boost::system::system_error*>(&error)) {
        failure.detail = ErrorCodeDetail{
            .message = {},
            .category = boost->code().category().name(),
            .value = boost->code().value(),
        };
    } else if (const auto* future = dynamic_cast<const std::future_error*>(&error)) {
        failure.detail = ErrorCodeDetail{
            .message = {},
            .category = future->code().category().name(),
            .value = future->code().value(),
        };
    } else if (const auto* regex = dynamic_cast<const std::regex_error*>(&error)) {
        failure.detail = ErrorCodeDetail{
            .message = {},
            .category = regex_category,
            .value = static_cast<int>(regex->code()),
        };
    } else if (const auto* broken = dynamic_cast<const BrokenProcessPool*>(&error)) {
        failure.detail = detail_of(failure.what, broken->worker());
    } else if (const auto* died = dynamic_cast<const WorkerDiedError*>(&error)) {
        failure.detail = detail_of(failure.what, died->worker());
    } else if (const auto* remote = dynamic_cast<const RemoteError*>(&error)) {
        failure.detail = RemoteDetail{
            .type_name = remote->type_name(),
            .remote_trace = remote->remote_trace(),
        };
    }
}

Failure capture(const std::exception_ptr& error, unsigned depth);

void add_nested(Failure& failure, const std::nested_exception* holder, unsigned depth) {
    if (holder != nullptr && holder->nested_ptr() != nullptr && depth < max_nested) {
        failure.nested.push_back(capture(holder->nested_ptr(), depth + 1));
    }
}

/// Has a registered type say what its exception holds. Without that it will be a RemoteError.
void add_registered(Failure& failure, const std::exception_ptr& error) {
    const auto* const type = find_exception_type(failure.type_name);
    if (type == nullptr) {
        return;
    }
    RegisteredDetail detail;
    try {
        if (!type->encode(error, detail.bytes) || detail.bytes.size() > max_text) {
            return;
        }
    } catch (const std::bad_alloc&) {
        throw;
    } catch (...) {
        return;
    }
    failure.detail = std::move(detail);
}

Failure capture(const std::exception_ptr& error, unsigned depth) {
    Failure failure;
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& caught) {
        failure.type_name = name_of(&typeid(caught));
        failure.what = text_of(caught.what());
        add_detail(failure, caught);
        add_nested(failure, dynamic_cast<const std::nested_exception*>(&caught), depth);
    } catch (const std::nested_exception& caught) {
        failure.type_name = name_of(&typeid(caught));
        add_nested(failure, &caught, depth);
    } catch (const std::string& caught) {
        failure.type_name = "std::string";
        failure.what = bounded(caught);
    } catch (const char* caught) {
        failure.type_name = "const char*";
        failure.what = text_of(caught);
    } catch (int caught) {
        failure.type_name = "int";
        failure.what = std::to_string(caught);
    } catch (...) {
        failure.type_name = name_of(abi::__cxa_current_exception_type());
    }
    add_registered(failure, error);
    return failure;
}

std::string trace_of(const Failure& failure, std::string_view where) {
    std::string trace(where);
    const Failure* level = &failure;
    while (level != nullptr) {
        trace += trace.empty() ? "" : "\n";
        trace += level == &failure ? "" : "caused by ";
        trace += level->type_name + ": ";
        trace += level->what.substr(0, level->what.find('\n'));
        level = level->nested.empty() ? nullptr : &level->nested.front();
    }
    return bounded(trace);
}

// --- making again --------------------------------------------------------------------------------

std::exception_ptr rebuild_nested(const Failure& failure) {
    return failure.nested.empty() ? nullptr : rebuild(failure.nested.front());
}

template <class Exception>
std::exception_ptr finish(const Failure& failure, Exception exception) {
    return detail::make_nesting(std::move(exception), rebuild_nested(failure));
}

std::exception_ptr make_remote(const Failure& failure) {
    return finish(failure, RemoteError(failure.what, failure.type_name, failure.remote_trace));
}

template <class Exception>
std::exception_ptr make_default(const Failure& failure) {
    return finish(failure, Exception());
}

template <class Exception>
std::exception_ptr make_from_what(const Failure& failure) {
    return finish(failure, Exception(failure.what));
}

// Boost's own, or what the standard library sees of them.
const boost::system::error_category* find_boost_category(std::string_view name) {
    const std::array<const boost::system::error_category*, 5> known{
        &boost::system::generic_category(),
        &boost::system::system_category(),
        &boost::asio::error::get_netdb_category(),
        &boost::asio::error::get_addrinfo_category(),
        &boost::asio::error::get_misc_category(),
    };
    for (const auto* category : known) {
        if (name == category->name()) {
            return category;
        }
    }
    return nullptr;
}

const std::error_category* find_category(std::string_view name) {
    const std::array<const std::error_category*, 4> known{
        &std::generic_category(),
        &std::system_category(),
        &std::iostream_category(),
        &std::future_category(),
    };
    for (const auto* category : known) {
        if (name == category->name()) {
            return category;
        }
    }
    const auto* const category = find_boost_category(name);
    return category == nullptr ? nullptr : &static_cast<const std::error_category&>(*category);
}

/// Of the exceptions that differ in the constructor that made them, the one whose text is right.
template <class Exception>
std::exception_ptr choose(const Failure& failure, std::span<const Exception> candidates) {
    for (const auto& candidate : candidates) {
        if (failure.what == candidate.what()) {
            return finish(failure, candidate);
        }
    }
    return finish(failure, candidates.front());
}

template <class Exception>
std::exception_ptr make_system(const Failure& failure) {
    const auto* detail = std::get_if<ErrorCodeDetail>(&failure.detail);
    const auto* category = detail == nullptr ? nullptr : find_category(detail->category);
    if (category == nullptr) {
        return make_remote(failure);
    }
    const std::error_code code(detail->value, *category);
    if constexpr (std::is_constructible_v<Exception, std::error_code>) {
        const std::array candidates{Exception(code, detail->message), Exception(code)};
        return choose<Exception>(failure, candidates);
    } else {
        return finish(failure, Exception(detail->message, code));
    }
}

std::exception_ptr make_boost_system(const Failure& failure) {
    using boost::system::system_error;
    const auto* detail = std::get_if<ErrorCodeDetail>(&failure.detail);
    const auto* category = detail == nullptr ? nullptr : find_boost_category(detail->category);
    if (category == nullptr) {
        return make_remote(failure);
    }
    system_error error(boost::system::error_code(detail->value, *category));
    // The text may say where in the program the code was made, which the code here does not know.
    static_cast<std::runtime_error&>(error) = std::runtime_error(failure.what);
    return finish(failure, error);
}

std::exception_ptr make_filesystem(const Failure& failure) {
    using std::filesystem::filesystem_error;
    const auto* detail = std::get_if<FilesystemDetail>(&failure.detail);
    const auto* category = detail == nullptr ? nullptr : find_category(detail->code.category);
    if (category == nullptr) {
        return make_remote(failure);
    }
    const std::error_code code(detail->code.value, *category);
    const std::array candidates{
        filesystem_error(detail->code.message, detail->path1, detail->path2, code),
        filesystem_error(detail->code.message, detail->path1, code),
        filesystem_error(detail->code.message, code),
    };
    return choose<filesystem_error>(failure, candidates);
}

std::exception_ptr make_future_error(const Failure& failure) {
    const auto* detail = std::get_if<ErrorCodeDetail>(&failure.detail);
    if (detail == nullptr || detail->category != std::future_category().name()) {
        return make_remote(failure);
    }
    return finish(failure, std::future_error(static_cast<std::future_errc>(detail->value)));
}

std::exception_ptr make_regex_error(const Failure& failure) {
    const auto* detail = std::get_if<ErrorCodeDetail>(&failure.detail);
    if (detail == nullptr || detail->category != regex_category) {
        return make_remote(failure);
    }
    std::regex_error error(static_cast<std::regex_constants::error_type>(detail->value));
    // No public constructor takes a text; the base has one.
    static_cast<std::runtime_error&>(error) = std::runtime_error(failure.what);
    return finish(failure, error);
}

/// Cannot be made; and not trivially copied, or a variant would keep its old value at no cost.
struct Explosive {
    explicit Explosive(int value) { throw value; }
    Explosive(const Explosive&) noexcept {}  // NOLINT(modernize-use-equals-default): see above
    Explosive& operator=(const Explosive&) = delete;
    ~Explosive() = default;
};

/// Its text says how it came about, and no public constructor takes one: make it come about again.
std::exception_ptr make_bad_variant_access(const Failure& failure) {
    std::variant<char, Explosive> valueless;
    try {
        valueless.emplace<Explosive>(0);
    } catch (int) {
        assert(valueless.valueless_by_exception());
    }
    std::vector<std::bad_variant_access> candidates(1);
    const auto add = [&candidates](auto access) {
        try {
            access();
        } catch (const std::bad_variant_access& caught) {
            candidates.push_back(caught);
        }
    };
    add([] { static_cast<void>(std::get<int>(std::variant<char, int>())); });
    add([&] { static_cast<void>(std::get<char>(valueless)); });
    add([&] { std::visit([](const auto&) {}, valueless); });
    return choose<std::bad_variant_access>(failure, candidates);
}

template <class Exception>
std::exception_ptr make_worker_error(const Failure& failure) {
    const auto* detail = std::get_if<WorkerDetail>(&failure.detail);
    if (detail == nullptr) {
        return make_remote(failure);
    }
    const std::array candidates{
        Exception(detail->message, detail->worker), Exception(failure.what)};
    return choose<Exception>(failure, candidates);
}

std::exception_ptr make_remote_again(const Failure& failure) {
    const auto* detail = std::get_if<RemoteDetail>(&failure.detail);
    if (detail == nullptr) {
        return make_remote(failure);
    }
    return finish(failure, RemoteError(failure.what, detail->type_name, detail->remote_trace));
}

std::exception_ptr make_registered(const Failure& failure, const RegisteredDetail& detail) {
    const auto* const type = find_exception_type(failure.type_name);
    std::exception_ptr error;
    if (type != nullptr) {
        try {
            error = type->decode(detail.bytes, failure.what, rebuild_nested(failure));
        } catch (const std::bad_alloc&) {
            throw;
        } catch (...) {
            error = nullptr;  // as it was thrown in decoding, it is not what the task threw
        }
    }
    return error ? error : make_remote(failure);
}

struct KnownType {
    const std::type_info* type;
    std::exception_ptr (*make)(const Failure&);
};

std::span<const KnownType> known_types() {
    static const std::array table{
        KnownType{&typeid(std::exception), make_default<std::exception>},
        KnownType{&typeid(std::bad_alloc), make_default<std::bad_alloc>},
        KnownType{&typeid(std::bad_array_new_length), make_default<std::bad_array_new_length>},
        KnownType{&typeid(std::bad_any_cast), make_default<std::bad_any_cast>},
        KnownType{&typeid(std::bad_cast), make_default<std::bad_cast>},
        KnownType{&typeid(std::bad_exception), make_default<std::bad_exception>},
        KnownType{&typeid(std::bad_function_call), make_default<std::bad_function_call>},
        KnownType{&typeid(std::bad_optional_access), make_default<std::bad_optional_access>},
        KnownType{&typeid(std::bad_typeid), make_default<std::bad_typeid>},
        KnownType{&typeid(std::bad_variant_access), make_bad_variant_access},
        KnownType{&typeid(std::bad_weak_ptr), make_default<std::bad_weak_ptr>},
        KnownType{&typeid(std::logic_error), make_from_what<std::logic_error>},
        KnownType{&typeid(std::domain_error), make_from_what<std::domain_error>},
        KnownType{&typeid(std::invalid_argument), make_from_what<std::invalid_argument>},
        KnownType{&typeid(std::length_error), make_from_what<std::length_error>},
        KnownType{&typeid(std::out_of_range), make_from_what<std::out_of_range>},
        KnownType{&typeid(std::runtime_error), make_from_what<std::runtime_error>},
        KnownType{&typeid(std::overflow_error), make_from_what<std::overflow_error>},
        KnownType{&typeid(std::range_error), make_from_what<std::range_error>},
        KnownType{&typeid(std::underflow_error), make_from_what<std::underflow_error>},
        KnownType{&typeid(std::future_error), make_future_error},
        KnownType{&typeid(std::regex_error), make_regex_error},
        KnownType{&typeid(std::system_error), make_system<std::system_error>},
        KnownType{&typeid(std::ios_base::failure), make_system<std::ios_base::failure>},
        KnownType{&typeid(std::filesystem::filesystem_error), make_filesystem},
        KnownType{&typeid(boost::system::system_error), make_boost_system},
        KnownType{&typeid(Error), make_from_what<Error>},
        KnownType{&typeid(CancelledError), make_from_what<CancelledError>},
        KnownType{&typeid(TimeoutError), make_from_what<TimeoutError>},
        KnownType{&typeid(InvalidStateError), make_from_what<InvalidStateError>},
        KnownType{&typeid(ShutdownError), make_from_what<ShutdownError>},
        KnownType{&typeid(QueueFullError), make_from_what<QueueFullError>},
        KnownType{&typeid(DeadlockError), make_from_what<DeadlockError>},
        KnownType{&typeid(BrokenExecutor), make_from_what<BrokenExecutor>},
        KnownType{&typeid(BrokenThreadPool), make_from_what<BrokenThreadPool>},
        KnownType{&typeid(BrokenProcessPool), make_worker_error<BrokenProcessPool>},
        KnownType{&typeid(SerializationError), make_from_what<SerializationError>},
        KnownType{&typeid(UnknownTaskError), make_from_what<UnknownTaskError>},
        KnownType{&typeid(TaskTimeoutError), make_from_what<TaskTimeoutError>},
        KnownType{&typeid(WorkerDiedError), make_worker_error<WorkerDiedError>},
        KnownType{&typeid(RemoteError), make_remote_again},
    };
    return table;
}

}  // namespace

Failure capture_failure(const std::exception_ptr& error, std::string_view where) {
    assert(error != nullptr);
    Failure failure = capture(error, 1);
    failure.remote_trace = trace_of(failure, where);
    return failure;
}

std::exception_ptr rebuild(const Failure& failure) {
    if (const auto* registered = std::get_if<RegisteredDetail>(&failure.detail)) {
        return make_registered(failure, *registered);
    }
    // Exceptions are rare: comparing some forty names costs less than keeping a map of them.
    for (const auto& known : known_types()) {
        if (failure.type_name == name_of(known.type)) {
            return known.make(failure);
        }
    }
    return make_remote(failure);
}

}  // namespace cofutures::process
