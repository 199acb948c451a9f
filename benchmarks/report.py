"""Tables out of the raw lines of a run."""
import json
import os
import platform
import statistics
import subprocess
from pathlib import Path

from cases import CASES

FLAGS = ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"]


def median(timings):
    return statistics.median(timings) if timings else None


def machine():
    """The processor, its instruction sets of interest, cores, memory, system."""
    told = {"cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "system": platform.platform(), "model": platform.processor(), "flags": []}
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        field = lambda name: next((l.split(":", 1)[1].strip() for l in lines if l.startswith(name)), "")
        told["model"] = f"{field('model name')} (family {field('cpu family')}, model {field('model')[:4].strip()})"
        told["flags"] = [flag for flag in FLAGS if flag in field("flags").split()]
        memory = Path("/proc/meminfo").read_text().split()[1]
        told["memory"] = f"{int(memory) / 2**20:.0f} GiB"
    except OSError:
        pass
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    told["commit"] = git.stdout.strip()
    return told


def milliseconds(value):
    if value is None:
        return ""
    return f"{value:.4f}" if value < 0.1 else f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def gather(rows):
    """{(case, threads): {name: all about it}}, the timings of all rounds together."""
    places = {}
    for row in rows:
        if "round" not in row:
            continue
        place = places.setdefault((row["case"], row["threads"]), {})
        entry = place.setdefault(row["name"], {"timings": [], "rss": 0, "f32": row["f32"], "version": "", "error": ""})
        entry["timings"] += row.get("timings") or []
        entry["rss"] = max(entry["rss"], row.get("rss") or 0)
        entry["version"] = row.get("version") or entry["version"]
        entry["error"] = row.get("error") or entry["error"]
    for place in places.values():
        for entry in place.values():
            entry["median"] = median(entry["timings"])
    return places


def best(place, f32, ours=False):
    known = [(e["median"], name) for name, e in place.items()
             if (name.split()[0] == "graticule") == ours and e["median"] and e["f32"] == f32]
    return min(known, default=(None, ""))


def least_ratio(place):
    """Like the ratio of medians, of the shortest times: other work on the machine disturbs these less."""
    least = {name: min(e["timings"]) for name, e in place.items() if e["timings"] and e["f32"]}
    ours = least.pop("graticule", None)
    return f"{min(least.values()) / ours:.2f}" if ours and least else ""


def ratios(places):
    rows = []
    for case in CASES:
        for (name, threads), place in places.items():
            if name != case.name:
                continue
            ours = place.get("graticule", {}).get("median")
            fastest, who = best(place, True)
            reduced, reduced_who = best(place, False)
            coarse, coarse_who = best(place, False, ours=True)
            rows.append([
                name, "training" if case.training else "inference", str(threads), milliseconds(ours), who,
                milliseconds(fastest), f"**{fastest / ours:.2f}**" if ours and fastest else "", least_ratio(place),
                f"{milliseconds(coarse)} ({coarse_who.split()[1]})" if coarse else "",
                f"{milliseconds(reduced)} ({reduced_who})" if reduced else "",
                f"{reduced / coarse:.2f}" if reduced and coarse else ""])
    header = ["case", "", "threads", "Graticule, ms", "best f32 peer", "its ms", "best peer / ours", "the same of least times",
              "less than f32: Graticule, ms", "peer, ms", "peer / ours"]
    return table(header, rows)


def details(places):
    lines = []
    for case in CASES:
        for (name, threads), place in places.items():
            if name != case.name:
                continue
            lines += [f"### {case.name}: {case.about}, {threads} thread{'s'[:threads > 1]}", ""]
            ours = place.get("graticule", {}).get("median")
            order = sorted(place.items(), key=lambda item: item[1]["median"] or 1e18)
            rows = []
            for who, e in order:
                t = e["timings"]
                if not t:
                    rows.append([who, "did not run: " + e["error"].replace("|", "/")[:120], "", "", "", "", ""])
                    continue
                rows.append([who, milliseconds(e["median"]), milliseconds(min(t)), milliseconds(max(t)), str(len(t)),
                             f"{e['median'] / ours:.2f}" if ours else "", f"{e['rss'] / 2**20:.0f}"])
            lines += table(["", "median ms", "least", "most", "timings", "× ours", "peak MiB"], rows)
    return lines


def others(rows):
    lines = []
    starts = {r["start"]: r for r in rows if "start" in r}
    sizes = {r["size"]: r for r in rows if "size" in r}
    if starts or sizes:
        lines += ["## Start, memory, size", "",
                  "One process that builds LeNet-5, does its first training step and ends (Graticule: eight steps); "
                  "the installation: a binary, or a virtual environment with all that pip put there.", ""]
        body = []
        for name in dict.fromkeys([*starts, *sizes]):
            start, size = starts.get(name), sizes.get(name)
            body.append([name, f"{start['seconds']:.3f}" if start else "", f"{start['rss'] / 2**20:.0f}" if start else "",
                         f"{size['bytes'] / 2**20:.0f}" + (" (environment)" if size["environment"] else "") if size else ""])
        lines += table(["", "start, s", "peak memory, MiB", "installed, MiB"], body)
    reached = [r for r in rows if "accuracy" in r]
    if reached:
        lines += ["## Time to an accuracy", "", "The same recipe on both sides; whole processes, reading the data "
                  "included; the fewest epochs whose mean test accuracy reaches the mark.", ""]
        lines += table(["task", "", "threads", "epochs", "test accuracy", "seeds", "seconds"], [
            [r["task"], r["name"], str(r["threads"]), str(r["epochs"]), f"{r['accuracy']:.2%}", str(r["seeds"]),
             f"{r['seconds']:.1f}"] for r in reached])
    return lines


def versions(places):
    found = {}
    for place in places.values():
        for name, entry in place.items():
            if entry["version"]:
                found[name.split()[0]] = entry["version"]
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))


def write(raw, output):
    rows = [json.loads(line) for line in Path(raw).read_text().splitlines()]
    head = next(row for row in rows if "machine" in row)
    places = gather(rows)
    about = head["machine"]
    lines = [
        "# Graticule beside its peers", "",
        f"{head['started'][:10]}, {about['model']}, {about['cores']} cores, {about.get('memory', '')}, {about['system']}; "
        f"{', '.join(about['flags'])}. Commit {about['commit']}. Load when it began: {head['load']:.2f}.", "",
        f"{versions(places)}.", "",
        f"Written by `benchmarks/run.sh`; [how it is measured](README.md). {head['rounds']} rounds of "
        f"{head['seconds']:g} s each; medians of all single timings. A ratio above 1 says that Graticule is faster.", "",
        "## Ratios", ""]
    lines += ratios(places) + others(rows) + ["## All competitors", ""] + details(places)
    Path(output).write_text("\n".join(lines))
