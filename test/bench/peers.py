"""Figures of Python's executors, measured here and printed as one number.

    peers.py FIGURE OPERATIONS WORKERS   prints the nanoseconds of one operation
    peers.py --has FIGURE                prints its name if this Python can measure it

What starts before the clock does is not measured, but for `*_first`, where it is the figure.
"""

import concurrent.futures as futures
import multiprocessing
import operator
import sys
import time

try:
    import joblib
except ImportError:
    joblib = None


def nothing(value=None):
    return value


def clock(operations, work):
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / operations


def executor(kind, workers, **options):
    pool = {"thread": futures.ThreadPoolExecutor, "process": futures.ProcessPoolExecutor}[kind](
        workers, **options
    )
    futures.wait([pool.submit(nothing) for _ in range(4 * workers)])
    return pool


def submit(kind, operations, workers):
    def work():
        for future in [pool.submit(nothing) for _ in range(operations)]:
            future.result()

    with executor(kind, workers) as pool:
        return clock(operations, work)


def round_trip(kind, operations, workers):
    def work():
        for _ in range(operations):
            pool.submit(nothing).result()

    with executor(kind, workers) as pool:
        return clock(operations, work)


def map_items(kind, operations, workers):
    with executor(kind, workers) as pool:
        # Threads have no chunks.
        return clock(
            operations, lambda: sum(pool.map(operator.neg, range(operations), chunksize=1000))
        )


def as_completed(kind, operations, workers):
    def work():
        for future in futures.as_completed([pool.submit(nothing) for _ in range(operations)]):
            future.result()

    with executor(kind, workers) as pool:
        return clock(operations, work)


def wait(kind, operations, workers):
    with executor(kind, workers) as pool:
        return clock(
            operations, lambda: futures.wait([pool.submit(nothing) for _ in range(operations)])
        )


def start_and_stop(kind, operations, workers):
    def work():
        for _ in range(operations):
            with futures.ThreadPoolExecutor(workers) as pool:
                futures.wait([pool.submit(nothing) for _ in range(workers)])

    return clock(operations, work)


def process_first(method):
    def figure(_kind, operations, workers):
        def work():
            for _ in range(operations):
                context = multiprocessing.get_context(method)
                pool = futures.ProcessPoolExecutor(workers, mp_context=context)
                pool.submit(nothing).result()
                ends.append(pool)

        ends = []
        spent = clock(operations, work)
        for pool in ends:
            pool.shutdown()
        return spent

    return figure


def process_large(_kind, operations, workers):
    import array

    data = array.array("d", [1.0]) * (8 * 1024 * 1024)

    def work():
        for _ in range(operations):
            assert len(pool.submit(nothing, data).result()) == len(data)

    with executor("process", workers) as pool:
        return clock(operations, work)


def pool_submit(_kind, operations, workers):
    def work():
        for result in [pool.apply_async(nothing) for _ in range(operations)]:
            result.get()

    with multiprocessing.Pool(workers) as pool:
        pool.map(nothing, range(4 * workers))
        return clock(operations, work)


def pool_map(_kind, operations, workers):
    with multiprocessing.Pool(workers) as pool:
        pool.map(nothing, range(4 * workers))
        return clock(
            operations, lambda: sum(pool.imap(operator.neg, range(operations), chunksize=1000))
        )


def joblib_submit(_kind, operations, workers):
    with joblib.Parallel(n_jobs=workers, batch_size=1, pre_dispatch="all") as parallel:
        parallel(joblib.delayed(nothing)() for _ in range(4 * workers))
        return clock(
            operations, lambda: parallel(joblib.delayed(nothing)() for _ in range(operations))
        )


def joblib_map(_kind, operations, workers):
    with joblib.Parallel(n_jobs=workers, batch_size=1000, pre_dispatch="all") as parallel:
        parallel(joblib.delayed(nothing)() for _ in range(4 * workers))
        return clock(
            operations,
            lambda: sum(parallel(joblib.delayed(operator.neg)(i) for i in range(operations))),
        )


FIGURES = {
    "thread_submit": submit,
    "thread_round_trip": round_trip,
    "thread_map": map_items,
    "thread_as_completed": as_completed,
    "thread_wait": wait,
    "thread_start_and_stop": start_and_stop,
    "process_submit": submit,
    "process_round_trip": round_trip,
    "process_map": map_items,
    "process_large": process_large,
    "process_first": process_first("spawn"),
    "process_first_fork": process_first("fork"),
    "pool_submit": pool_submit,
    "pool_map": pool_map,
}
if joblib is not None:
    FIGURES.update({"joblib_submit": joblib_submit, "joblib_map": joblib_map})


def main(arguments):
    if arguments[0] == "--has":
        if arguments[1] in FIGURES:
            print(arguments[1])
        return
    figure, operations, workers = arguments[0], int(arguments[1]), int(arguments[2])
    print(FIGURES[figure](figure.split("_")[0], operations, workers))


if __name__ == "__main__":
    main(sys.argv[1:])
