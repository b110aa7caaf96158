#pragma once

/// @file
/// All of the library. A program that minds its compile time includes only what it uses.

#include <cofutures/codec.hpp>
#include <cofutures/error.hpp>
#include <cofutures/executor.hpp>
#include <cofutures/freeze_support.hpp>
#include <cofutures/future.hpp>
#include <cofutures/process_pool_executor.hpp>
#include <cofutures/promise.hpp>
#include <cofutures/thread_pool_executor.hpp>
#include <cofutures/version.hpp>
