"""What all Python peers share: the command line, the clock, and the one line of JSON they print."""
import argparse
import json
import time

MOST = 10_000


def arguments(doc):
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--case", required=True)
    parser.add_argument("--mode", default="")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--least", type=int, default=5, help="fewest timings")
    parser.add_argument("--once", action="store_true", help="one step, then leave: for the start-up time")
    parser.add_argument("--onnx", default=".", help="folder of ONNX files")
    return parser.parse_args()


def measure(step, arguments, version, **more):
    """Runs `step` after a warm-up and prints the milliseconds of every single run."""
    if arguments.once:
        step()
        return
    for _ in range(3):
        step()
    timings, started = [], time.perf_counter()
    while len(timings) < arguments.least or (
            time.perf_counter() - started < arguments.seconds and len(timings) < MOST):
        before = time.perf_counter()
        step()
        timings.append((time.perf_counter() - before) * 1e3)
    print(json.dumps({"version": version, "timings": [round(t, 6) for t in timings], **more}), flush=True)
