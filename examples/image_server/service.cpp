#include "service.hpp"

#include "page.hpp"
#include "thumbnail.hpp"

#include <cofutures/cancel_on_abort.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid_io.hpp>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace uuids = boost::uuids;
using namespace std::chrono_literals;

namespace image_server {

namespace {

constexpr int tasks_per_worker = 1000;

cofutures::WorkerLimits limits_for(const Options& options) {
    cofutures::WorkerLimits limits{
        // For a worker's whole life: a net for workers that nobody watches any more. What one image
        // may use is the task's timeout.
        .cpu_time =
            std::chrono::ceil<std::chrono::seconds>(options.task_timeout) * tasks_per_worker,
        .open_files = 32,
        .nice = 5,  // the event loop goes first
    };
    if (options.memory_limit != 0) {
        limits.address_space = options.memory_limit;
    }
    return limits;
}

cofutures::ProcessPoolOptions process_options(const Options& options) {
    return {
        .max_workers = options.workers,
        .max_tasks_per_child = tasks_per_worker,  // what a decoder leaks is bounded too
        .on_worker_death = cofutures::WorkerDeath::replace,
        .limits = limits_for(options),
        .max_queue = options.max_queue,
        .on_full = cofutures::OnFull::reject,
    };
}

// What is hashed comes out of the processes, so their queue's bound bounds this one too.
cofutures::ThreadPoolOptions thread_options(const Options& options) {
    return {.max_workers = options.threads, .thread_name_prefix = "checksum"};
}

// A UUID made from the bytes' SHA-1: equal bytes, equal tag.
std::string entity_tag(const Bytes& bytes) {
    const uuids::name_generator_sha1 generate(uuids::ns::oid());
    return '"' + uuids::to_string(generate(bytes.data(), bytes.size())) + '"';
}

struct Tagged {
    Bytes bytes;
    std::string tag;
};

Tagged tag(Bytes bytes) {
    std::string text = entity_tag(bytes);
    return {.bytes = std::move(bytes), .tag = std::move(text)};
}

Response refuse(const Refusal& refusal) {
    switch (refusal.reason) {
    case RefusalReason::unsupported:
        return error_response(http::status::unsupported_media_type, "unsupported", refusal.message);
    case RefusalReason::too_large:
        return error_response(http::status::payload_too_large, "too_large", refusal.message);
    case RefusalReason::malformed:
        break;
    }
    return error_response(http::status::unprocessable_entity, "malformed", refusal.message);
}

Response page_response() {
    Response response = text_response(http::status::ok, "text/html; charset=utf-8", page);
    response.set(
        "Content-Security-Policy",
        "default-src 'none'; connect-src 'self'; img-src blob: data:; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    );
    return response;
}

}  // namespace

Service::Service(const Options& options, Metrics& metrics)
    : options_(options),
      metrics_(metrics),
      processes_(process_options(options)),
      threads_(thread_options(options)),
      budget_(options.upload_memory) {}

asio::awaitable<Response> Service::answer(Call call, Bytes upload) {
    const std::uint64_t id = ++last_id_;
    Response response;
    try {
        response = co_await dispatch(call, std::move(upload), id);
    } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted) {
            throw;
        }
        response = explain(std::current_exception(), id);
    } catch (...) {
        response = explain(std::current_exception(), id);
    }
    response.set("X-Request-Id", std::to_string(id));
    co_return response;
}

asio::awaitable<Response> Service::dispatch(Call call, Bytes upload, std::uint64_t id) {
    switch (call.route) {
    case Route::page:
        co_return page_response();
    case Route::health:
        co_return health();
    case Route::stats:
        co_return text_response(
            http::status::ok, "application/json", to_json(metrics_, pool_stats())
        );
    case Route::metrics:
        co_return text_response(
            http::status::ok,
            "text/plain; version=0.0.4; charset=utf-8",
            to_prometheus(metrics_, pool_stats())
        );
    case Route::thumbnail:
        co_return co_await thumbnail(call, std::move(upload), id);
    case Route::other:
        break;
    }
    co_return error_response(http::status::not_found, "not_found", "there is nothing here");
}

asio::awaitable<Response> Service::thumbnail(Call call, Bytes upload, std::uint64_t id) {
    const auto start = std::chrono::steady_clock::now();
    metrics_.bytes_received += upload.size();
    ThumbnailJob job{
        .upload = std::move(upload),
        .side = call.side,
        .format = call.format,
        .max_pixels = options_.max_pixels,
        .test_hooks = options_.test_hooks,
    };
    // Never retried: an image that has brought down one worker shall not get a second one.
    const std::string name = "request " + std::to_string(id);
    auto queued = processes_.try_submit(
        {.timeout = options_.task_timeout, .name = name}, make_thumbnail, std::move(job)
    );
    if (!queued) {
        co_return overloaded();
    }
    ThumbnailResult result = co_await cofutures::cancel_on_abort(std::move(*queued));
    metrics_.worker_time.observe(std::chrono::steady_clock::now() - start);
    if (const auto* refusal = std::get_if<Refusal>(&result)) {
        co_return refuse(*refusal);
    }
    co_return co_await deliver(std::get<Thumbnail>(std::move(result)));
}

asio::awaitable<Response> Service::deliver(Thumbnail thumbnail) {
    metrics_.decode_time.observe(thumbnail.spent);
    Tagged tagged =
        co_await cofutures::cancel_on_abort(threads_.submit(tag, std::move(thumbnail.bytes)));
    const auto describe = [](Size size) {
        return std::to_string(size.width) + 'x' + std::to_string(size.height);
    };
    Response response(http::status::ok, 11);
    response.set(http::field::content_type, content_type(thumbnail.format));
    response.set(http::field::etag, tagged.tag);
    response.set("X-Thumbnail-Size", describe(thumbnail.size));
    response.set("X-Original-Size", describe(thumbnail.original));
    response.body() = std::move(tagged.bytes);
    co_return response;
}

Response Service::overloaded() const {
    // What is queued takes about so long.
    const double workers = options_.workers.value_or(1);
    const double backlog =
        metrics_.decode_time.mean().count() * static_cast<double>(options_.max_queue) / workers;
    const double patience = std::clamp(std::ceil(backlog), 1.0, 60.0);
    Response response = error_response(
        http::status::service_unavailable, "overloaded", "too many uploads wait already"
    );
    response.set(http::field::retry_after, std::to_string(static_cast<int>(patience)));
    return response;
}

Response Service::explain(const std::exception_ptr& failure, std::uint64_t id) {
    using enum http::status;
    const auto log = [id](const std::exception& error) {
        std::clog << "request " << id << ": " << error.what() << '\n';
    };
    try {
        std::rethrow_exception(failure);
    } catch (const cofutures::TaskTimeoutError& error) {
        log(error);
        return error_response(unprocessable_entity, "timeout", "the image takes too long");
    } catch (const cofutures::WorkerDiedError& error) {
        log(error);
        return error_response(internal_server_error, "worker_died", "the decoder failed on it");
    } catch (const std::bad_alloc&) {
        return error_response(payload_too_large, "out_of_memory", "the image needs more memory");
    } catch (const cofutures::QueueFullError&) {
        return overloaded();
    } catch (const cofutures::BrokenExecutor& error) {
        broken_ = true;
        log(error);
    } catch (const cofutures::ShutdownError&) {
    } catch (const cofutures::CancelledError&) {
    } catch (const std::exception& error) {
        log(error);
        return error_response(internal_server_error, "internal", "the server could not do this");
    }
    return error_response(service_unavailable, "unavailable", "the server takes no work now");
}

Response Service::health() const {
    if (draining_ || broken_) {
        return text_response(
            http::status::service_unavailable, "text/plain", draining_ ? "draining\n" : "broken\n"
        );
    }
    return text_response(http::status::ok, "text/plain", "ok\n");
}

asio::awaitable<bool> Service::shut_down(std::chrono::steady_clock::time_point deadline) {
    using namespace asio::experimental::awaitable_operators;
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, deadline);
    const auto first = co_await (
        processes_.async_shutdown(asio::use_awaitable, true) ||
        timer.async_wait(asio::use_awaitable)
    );
    if (first.index() != 0) {
        processes_.kill_workers();
        co_await processes_.async_shutdown(asio::use_awaitable, true);
    }
    co_await threads_.async_shutdown(asio::use_awaitable, true);
    co_return first.index() == 0;
}

}  // namespace image_server
