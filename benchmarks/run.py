"""Runs Graticule and its peers in turn and writes the comparison. See run.sh for the command, README.md for the method."""
import argparse
import json
import os
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import extras
import report
from cases import CASES, FLAT, PEERS, REDUCED
from environments import BUILD, HERE, export_onnx, graticule, programs, say

# Kept for all peers: freed memory stays with the process. Plain glibc gives it back after every step.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592", "MALLOC_TOP_PAD_": "67108864",
}
# A peer that was this many times slower than the fastest in the first round sits out the others.
HOPELESS = 3.0
LIMIT = 900


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repeats of a few cases; writes build/quick.md")
    parser.add_argument("--cases", help="names with commas")
    parser.add_argument("--threads", default="1,2", help="numbers of threads with commas")
    parser.add_argument("--only", nargs="+", metavar="PEER", help="these peers and no others")
    parser.add_argument("--without", nargs="+", default=[], metavar="MODE", help="leave out these modes, as compile or bf16")
    parser.add_argument("--skip-build", action="store_true", help="take the Rust programs as they are")
    parser.add_argument("--rounds", type=int, help="times that everybody has a turn (3, quick 1)")
    parser.add_argument("--seconds", type=float, help="seconds of timings in each turn (2, quick 0.5)")
    parser.add_argument("--all-rounds", action="store_true", help=f"also peers {HOPELESS:g} times slower than the best")
    parser.add_argument("--resume", action="store_true", help="go on with the last run that was broken off")
    parser.add_argument("--report-only", action="store_true", help="write the tables again from the last run")
    parser.add_argument("--no-extras", action="store_true", help="no start-up time, memory and size")
    parser.add_argument("--long", action="store_true", help="also the time to an accuracy (MNIST; needs GRATICULE_DATA)")
    parser.add_argument("--eurosat", action="store_true", help="with --long: EuroSAT too, about an hour")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (0.5 if options.quick else 2.0)
    options.threads = [int(n) for n in options.threads.split(",")]
    options.raw = BUILD / ("quick.jsonl" if options.quick else "raw.jsonl")
    options.output = BUILD / "quick.md" if options.quick else HERE / "RESULTS.md"
    return options


def environment(threads, peer):
    names = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "RTEN_NUM_THREADS", "MATMUL_NUM_THREADS",
             "CANDLE_NUM_THREADS"]
    result = {**os.environ, **{name: str(threads) for name in names}}
    result.update(CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3", JAX_PLATFORMS="cpu")
    return {**result, **ALLOCATOR} if peer else result


def process(command, threads, peer=None, folder=HERE):
    """Runs a program to its end: its output, its errors, seconds, exit code. `peer` may be `True` for any peer."""
    cores = None
    if getattr(peer, "pinned", False) and hasattr(os, "sched_setaffinity"):
        cores = lambda: os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    started = time.perf_counter()
    child = subprocess.Popen(["timeout", str(LIMIT)] + command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             env=environment(threads, peer), preexec_fn=cores, cwd=folder)
    output, errors = child.communicate()
    seconds = time.perf_counter() - started
    return output, errors, seconds, child.returncode


def metered(command, threads, peer=None):
    """As `process`, and the highest resident memory in bytes."""
    meter = [sys.executable, str(HERE / "rss.py")]
    output, errors, seconds, code = process(meter + command, threads, peer)
    memory = next((int(line[4:]) for line in errors.splitlines() if line.startswith("RSS ")), None)
    return output, errors, seconds, code, memory


def turn(command, threads, peer=None):
    """One competitor's turn: version and timings in milliseconds, or why there are none."""
    output, errors, seconds, code, memory = metered(command, threads, peer)
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if code != 0 or not lines:
        last = [line for line in errors.splitlines() if line.strip() and not line.startswith("RSS ")][-2:]
        return {"error": f"exit {code}: " + " ".join(last)[:300], "wall": seconds}
    if peer is None:
        bench = json.loads(output)
        network = bench["networks"][0]
        speed = network["training"] or network["inference"]
        found = {"version": bench["graticule"], "timings": speed["timings"], "isa": bench["machine"]["isa"],
                 "precision": bench["machine"]["precision"]}
    else:
        found = json.loads(lines[-1])
    return {**found, "rss": memory, "wall": seconds}


def competitors(case, options, found):
    """(name, peer, command) of everybody who takes part in a case."""
    ours = found["graticule"] + ["bench"] + case.graticule + ["--brief", "--json", "--quiet"]
    entries = [("graticule", None, ours)]
    if "amx_bf16" in report.machine()["flags"]:
        entries += [(f"graticule {precision}", None, ours + ["--precision", precision]) for precision in REDUCED]
    for peer in PEERS:
        if case.name not in peer.cases or peer.program not in found:
            continue
        for mode in peer.modes:
            if mode in options.without or options.quick and mode in peer.slow:
                continue
            if mode in peer.images_only and case.name in FLAT or mode in peer.training_only and not case.training:
                continue
            words = ["--case", case.name, "--mode", mode, "--onnx", str(BUILD / "onnx")]
            entries.append((f"{peer.name} {mode}", peer, found[peer.program] + words))
    return entries


def compare(case, threads, options, found, done, write):
    """All rounds of a case; the order changes from round to round."""
    entries = competitors(case, options, found)
    medians = {}
    for round_ in range(options.rounds):
        shift = round_ % len(entries)
        for name, peer, command in entries[shift:] + entries[:shift]:
            if (case.name, threads, round_, name) in done:
                medians.setdefault(name, report.median(done[case.name, threads, round_, name]))
                continue
            best = min((m for n, m in medians.items() if not n.startswith("graticule") and m), default=None)
            slow = best and medians.get(name) and medians[name] > HOPELESS * best
            failed = round_ > 0 and name in medians and medians[name] is None
            if round_ > 0 and peer and (failed or slow and not options.all_rounds):
                continue
            words = ["--threads", str(threads), "--seconds", str(options.seconds)]
            if peer:
                words += ["--least", str(-(-10 // options.rounds))]
            row = {"case": case.name, "threads": threads, "round": round_, "name": name,
                   "f32": name.split()[-1] not in (peer.reduced if peer else REDUCED), **turn(command + words, threads, peer)}
            write(row)
            median = report.median(row["timings"]) if "timings" in row else None
            medians.setdefault(name, median)
            told = f"{median:.4g} ms ({len(row['timings'])} runs)" if median else row["error"]
            say(f"  {case.name}, {threads} thread{'s'[:threads > 1]}, round {round_ + 1}: {name}: {told}")


def chosen_peers(options):
    names = {peer.name for peer in PEERS}
    if options.only and not set(options.only) <= names:
        sys.exit(f"unknown peer; known: {', '.join(sorted(names))}")
    PEERS[:] = [peer for peer in PEERS if not options.only or peer.name in options.only]


def chosen_cases(options):
    if not options.cases:
        return [case for case in CASES if case.quick or not options.quick]
    wanted = options.cases.split(",")
    unknown = set(wanted) - {case.name for case in CASES}
    if unknown:
        sys.exit(f"unknown case {', '.join(sorted(unknown))}; known: {', '.join(case.name for case in CASES)}")
    return [case for case in CASES if case.name in wanted]


def finished(options):
    """The timings of a run that was broken off."""
    if not options.resume or not options.raw.exists():
        return {}
    rows = [json.loads(line) for line in options.raw.read_text().splitlines()]
    return {(r["case"], r["threads"], r["round"], r["name"]): r.get("timings") for r in rows if "round" in r}


def others(options, found, write):
    def start(command, threads):
        _, _, seconds, code, memory = metered(command, threads, peer=None)
        return seconds, memory, code
    if not options.no_extras:
        extras.starts(start, found, write)
        extras.sizes(found, write)
    if options.long:
        tasks = ["mnist", "eurosat"] if options.eurosat else ["mnist"]
        extras.to_accuracy(process, found, tasks, options.threads, write)


def main():
    options = arguments()
    BUILD.mkdir(exist_ok=True)
    if options.report_only:
        return report.write(options.raw, options.output)
    chosen_peers(options)
    cases = chosen_cases(options)
    wanted = [peer.program for peer in PEERS if any(case.name in peer.cases for case in cases)]
    say("programs:")
    found = programs(dict.fromkeys(wanted), options.skip_build)
    found["graticule"] = [str(graticule(options.skip_build))]
    if any(not case.training for case in cases):
        export_onnx(found)
    done = finished(options)
    with open(options.raw, "a" if options.resume else "w") as raw:
        def write(row):
            raw.write(json.dumps(row) + "\n")
            raw.flush()
        write({"machine": report.machine(), "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
               "load": os.getloadavg()[0], "rounds": options.rounds, "seconds": options.seconds})
        for case in cases:
            say(f"{case.name}: {case.about}")
            for threads in options.threads:
                compare(case, threads, options, found, done, write)
            report.write(options.raw, options.output)
        others(options, found, write)
    report.write(options.raw, options.output)
    print(options.output.read_text())


if __name__ == "__main__":
    main()
