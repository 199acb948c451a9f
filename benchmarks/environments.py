"""Where the programs of the peers are: virtual environments that are taken or made, Rust programs that are built."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = HERE / "build"
PYTHON = HERE / "peers" / "python"
TARGET = HERE / "peers" / "target"

# Name: (environment variable with an existing one, module that must import, what pip installs).
VIRTUAL = {
    "torch": ("GRATICULE_BENCH_TORCH", "torch, onnx, onnxruntime", ["torch", "onnx", "onnxruntime", "numpy"]),
    "tensorflow": ("GRATICULE_BENCH_TENSORFLOW", "tensorflow", ["tensorflow-cpu"]),
    "jax": ("GRATICULE_BENCH_JAX", "jax", ["jax[cpu]"]),
}
# Where torch without CUDA libraries is found; without it the usual index is asked.
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
SCRIPTS = {
    "torch": ("torch", "torch_peer.py"), "onnxruntime": ("torch", "onnxruntime_peer.py"),
    "tensorflow": ("tensorflow", "tensorflow_peer.py"), "jax": ("jax", "jax_peer.py"),
}
RUST = {"burn": "burn-peer", "candle": "candle-peer", "onnx": "onnx-peer"}


def say(text):
    print(text, flush=True)


def log_of(name):
    BUILD.mkdir(exist_ok=True)
    return BUILD / f"{name}.log"


def run(command, log, **more):
    with open(log, "ab") as out:
        return subprocess.run(command, stdout=out, stderr=out, check=False, **more).returncode == 0


def virtual_environment(name):
    """The Python of an environment that has the framework, or None."""
    variable, modules, packages = VIRTUAL[name]
    given = os.environ.get(variable)
    folder = Path(given) if given else HERE / f".venv-{name}"
    python = folder / "bin" / "python"
    log = log_of(f"venv-{name}")
    works = lambda: python.exists() and run([str(python), "-c", f"import {modules}"], log)
    if works():
        return python
    if given:
        say(f"  {name}: {variable}={given} cannot import {modules}; left out (see {log})")
        return None
    say(f"  {name}: making {folder} …")
    made = run([sys.executable, "-m", "venv", str(folder)], log)
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    if made and name == "torch":
        run(pip + ["--index-url", TORCH_INDEX, "torch"], log)
    if made and run(pip + packages, log) and works():
        return python
    say(f"  {name}: could not be installed; left out (see {log})")
    return None


def rust_program(name):
    """The binary of a Rust peer, built if need be, or None."""
    log = log_of(f"build-{name}")
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET)}
    say(f"  {name}: building …")
    if not run(["cargo", "build", "--release"], log, cwd=HERE / "peers" / name, env=environment):
        say(f"  {name}: could not be built; left out (see {log})")
        return None
    return TARGET / "release" / RUST[name]


def graticule(skip_build):
    given = os.environ.get("GRATICULE_BENCH_BINARY")
    binary = Path(given) if given else ROOT / "target" / "release" / "graticule"
    if not skip_build and not given:
        say("  graticule: building …")
        if not run(["cargo", "build", "--release", "-p", "graticule"], log_of("build-graticule"), cwd=ROOT):
            sys.exit(f"graticule could not be built (see {log_of('build-graticule')})")
    if not binary.exists():
        sys.exit(f"{binary} is missing; leave --skip-build out")
    return binary


def programs(wanted, skip_build):
    """For each program name its command, as far as it can be had."""
    found = {}
    pythons = {}
    for name in wanted:
        if name in SCRIPTS:
            environment, script = SCRIPTS[name]
            if environment not in pythons:
                pythons[environment] = virtual_environment(environment)
            if pythons[environment]:
                found[name] = [str(pythons[environment]), str(PYTHON / script)]
        elif skip_build:
            binary = TARGET / "release" / RUST[name]
            if binary.exists():
                found[name] = [str(binary)]
            else:
                say(f"  {name}: {binary} is missing; left out")
        elif shutil.which("cargo") and (binary := rust_program(name)):
            found[name] = [str(binary)]
    return found


def export_onnx(programs):
    """The folder of the ONNX files that the inference engines read; they come out of the torch networks."""
    folder = BUILD / "onnx"
    if "torch" in programs:
        command = programs["torch"] + ["--export", str(folder)]
        if not run(command, log_of("export"), env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}):
            say(f"  ONNX files could not be exported (see {log_of('export')})")
    return folder


def folder_bytes(folder):
    total = 0
    for place, _, files in os.walk(folder):
        for file in files:
            path = os.path.join(place, file)
            if not os.path.islink(path):
                total += os.path.getsize(path)
    return total
