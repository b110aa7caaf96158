#pragma once

#include <cofutures/error.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace cofutures::process {

/// What `std::system_error` holds beside its text.
struct ErrorCodeDetail {
    /// Given to the constructor, which makes `what()` of it and the code's text.
    std::string message;
    std::string category;
    std::int32_t value = 0;
};

/// What `std::filesystem::filesystem_error` holds.
struct FilesystemDetail {
    ErrorCodeDetail code;
    std::string path1;
    std::string path2;
};

/// What `BrokenProcessPool` and `WorkerDiedError` hold.
struct WorkerDetail {
    /// Given to the constructor, which makes `what()` of it and the worker's description.
    std::string message;
    WorkerExit worker;
};

/// What `RemoteError` holds: it has crossed to another process before.
struct RemoteDetail {
    std::string type_name;
    std::string remote_trace;
};

/// What an exception holds whose type the program registered, in its own encoding.
struct RegisteredDetail {
    std::vector<std::byte> bytes;
};

/// An exception on its way to another process.
struct Failure {
    /// The exact type, demangled; one that is neither in the table of known types nor registered
    /// becomes RemoteError.
    std::string type_name;
    std::string what;
    std::string remote_trace;
    std::variant<
        std::monostate,
        ErrorCodeDetail,
        FilesystemDetail,
        WorkerDetail,
        RemoteDetail,
        RegisteredDetail>
        detail;
    /// The exception nested in it (`std::nested_exception`), if there is one.
    std::vector<Failure> nested;
};

/// Takes an exception apart, so that `rebuild` can make its like in another process.
///
/// Texts are cut at 64 KiB, nested exceptions beyond the 16th are left out.
///
/// @param error  Not null.
/// @param where  First line of the trace: which worker, which task.
/// @throws std::bad_alloc
[[nodiscard]] Failure capture_failure(const std::exception_ptr& error, std::string_view where);

/// Makes an exception of a failure that was captured, perhaps in another process.
///
/// It has the same type, `what()` and fields, and the same exceptions nested in it, if the type is
/// one of the standard library's, of this library's or registered, or
/// `boost::system::system_error`. For every other type, even one derived from those, it is
/// RemoteError: a handler never meets half an object. So are a `system_error` with a category that
/// is neither the standard library's nor Asio's, and what a registered type's codec fails to
/// decode.
///
/// @throws std::bad_alloc
[[nodiscard]] std::exception_ptr rebuild(const Failure& failure);

}  // namespace cofutures::process
