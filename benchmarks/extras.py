"""What else is compared: start-up time, size of the installation, and the time to an accuracy."""
import json
import os
import statistics
import tempfile
from pathlib import Path

from environments import PYTHON, folder_bytes, say

STARTS = 3
# Epochs are tried in this order until the mean accuracy of all seeds is high enough.
TASKS = {
    "mnist": {"data": "mnist", "accuracy": 0.99, "epochs": [2, 3, 4, 5, 6, 8, 10, 15], "seeds": [1, 2, 3], "words": [
        "--model", "lenet5", "--optimizer", "momentum:0.9", "--schedule", "onecycle", "--lr", "0.05", "--batch", "64",
        "--augment", "none", "--label-smoothing", "0", "--weight-decay", "0"]},
    "eurosat": {"data": "eurosat-rgb", "accuracy": 0.95, "epochs": [15, 20, 25, 30, 40], "seeds": [1], "words": [
        "--model", "cnn-small", "--optimizer", "adamw", "--schedule", "onecycle", "--lr", "0.002", "--batch", "64",
        "--augment", "flip,turns", "--label-smoothing", "0", "--weight-decay", "0.02"]},
}


def starts(run, found, write):
    """Seconds and memory of a process that makes LeNet-5, does one step (Graticule: eight) and ends."""
    for name, command in found.items():
        if name in ("onnxruntime", "onnx"):
            continue
        mode = {"torch": "eager", "tensorflow": "graph"}.get(name, "")
        words = ["--case", "lenet64", "--mode", mode, "--once"]
        if name == "graticule":
            words = ["bench", "models/lenet5.toml", "--batch", "64", "--mode", "training", "--brief", "--quiet"]
            words += ["--seconds", "0.000001"]
        rows = [run(command + words, 1) for _ in range(STARTS)]
        if any(code for _, _, code in rows):
            say(f"  start of {name}: failed")
            continue
        seconds = statistics.median(seconds for seconds, _, _ in rows)
        memory = max(memory or 0 for _, memory, _ in rows)
        say(f"  start of {name}: {seconds:.3f} s, {memory / 2**20:.0f} MiB")
        write({"start": name, "seconds": seconds, "rss": memory})


def sizes(found, write):
    """Bytes of each installation: a whole virtual environment, or one binary."""
    for name, command in found.items():
        path = Path(command[0])
        environment = path.parent.parent if path.parent.name == "bin" else None
        size = folder_bytes(environment) if environment else path.stat().st_size
        say(f"  size of {name}: {size / 2**20:.0f} MiB")
        write({"size": name, "bytes": size, "environment": bool(environment)})


def accuracy_of(output, name):
    if name.startswith("graticule"):
        return json.loads(output)["metrics"]["accuracy"]
    return json.loads(output.strip().splitlines()[-1])["accuracy"]


def training(name, task, found, epochs, threads, seed, data, folder):
    """The command that trains once and tells the test accuracy."""
    if name.startswith("graticule"):
        place = [str(data)]
        if task == "eurosat":
            place = [str(data / "eurosat-rgb-8000.zip"), "--splits", str(data / "splits.csv")]
        precision = name.partition(" ")[2] or "highest"
        return found["graticule"] + ["train"] + place + TASKS[task]["words"] + [
            "--precision", precision, "--epochs", str(epochs), "--threads", str(threads), "--seed", str(seed), "--no-report", "--json", "--quiet"]
    script = str(PYTHON / "torch_accuracy.py")
    return [found["torch"][0], script, "--task", task, "--data", str(data), "--epochs", str(epochs),
            "--threads", str(threads), "--seed", str(seed)]


def to_accuracy(process, found, tasks, threads_list, write):
    """Seconds of a whole process, reading of the data included, with the fewest epochs that reach the accuracy."""
    root = os.environ.get("GRATICULE_DATA")
    for task in tasks:
        data = Path(root or ".").resolve() / TASKS[task]["data"]
        if not root or not data.exists():
            say(f"  {task}: not found; GRATICULE_DATA must name the folder that holds {TASKS[task]['data']}/")
            continue
        for threads in threads_list:
            for name in ("graticule", "graticule high", "torch"):
                if name.split()[0] in found:
                    reach(process, found, (task, data), threads, name, write)


def reach(process, found, place, threads, name, write):
    task, data = place
    wanted = TASKS[task]
    for epochs in wanted["epochs"]:
        seconds, scores = [], []
        for seed in wanted["seeds"]:
            with tempfile.TemporaryDirectory() as folder:
                command = training(name, task, found, epochs, threads, seed, data, folder)
                output, errors, took, code = process(command, threads, name == "torch", folder)
            if code:
                say(f"  {task}, {name}: exit {code}: {errors.strip()[-200:]}")
                return
            seconds.append(took)
            scores.append(accuracy_of(output, name))
            # The first seed tells whether the others are worth their time.
            if scores[0] < wanted["accuracy"] - 0.002:
                break
        mean = statistics.mean(scores)
        say(f"  {task}, {threads} threads, {name}: {epochs} epochs, {mean:.4f}, {statistics.mean(seconds):.1f} s")
        if mean >= wanted["accuracy"] and len(scores) == len(wanted["seeds"]):
            write({"accuracy": mean, "task": task, "name": name, "threads": threads, "epochs": epochs,
                   "seconds": statistics.mean(seconds), "seeds": len(scores)})
            return
    say(f"  {task}, {name}: {wanted['accuracy']:.0%} was not reached")
