#pragma once

/// @file
/// All of the library. A program that minds its compile time includes only what it uses.

#include <cofutures/any_future.hpp>
#include <cofutures/as_completed.hpp>
#include <cofutures/as_future.hpp>
#include <cofutures/asio_executor.hpp>
#include <cofutures/blocking_region.hpp>
#include <cofutures/cancel_on_abort.hpp>
#include <cofutures/chrome_trace.hpp>
#include <cofutures/codec.hpp>
#include <cofutures/error.hpp>
#include <cofutures/executor.hpp>
#include <cofutures/executor_stats.hpp>
#include <cofutures/freeze_support.hpp>
#include <cofutures/future.hpp>
#include <cofutures/is_move_only.hpp>
#include <cofutures/map.hpp>
#include <cofutures/observer.hpp>
#include <cofutures/on_full.hpp>
#include <cofutures/process_pool_executor.hpp>
#include <cofutures/process_pool_options.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/register_exception.hpp>
#include <cofutures/share.hpp>
#include <cofutures/task_options.hpp>
#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/version.hpp>
#include <cofutures/wait.hpp>
#include <cofutures/when_all.hpp>
#include <cofutures/worker_initializer.hpp>
#include <cofutures/worker_limits.hpp>
#include <cofutures/worker_output.hpp>
