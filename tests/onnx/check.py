"""Runs the exported networks of a folder in ONNX Runtime and compares them with the engine.

    python tests/onnx/check.py FOLDER [TOLERANCE]

cases.json lists the cases: {"name", "inputs": [[name, shape]], "output": shape}. Beside it lie NAME.onnx, and as
raw float32 NAME.INPUT.bin and NAME.output.bin. Prints a line for each case and fails if any differs.
"""

import json
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime


def run(folder, case):
    path = folder / f"{case['file']}.onnx"
    onnx.checker.check_model(str(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    read = lambda what, shape: numpy.fromfile(folder / f"{case['name']}.{what}.bin", numpy.float32).reshape(shape)
    inputs = {name: read(name, shape) for name, shape in case["inputs"]}
    declared = session.get_inputs()
    assert [i.name for i in declared] == list(inputs), [i.name for i in declared]
    assert declared[0].shape[0] == "batch", declared[0].shape
    found, expected = session.run(None, inputs)[0], read("output", case["output"])
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    assert numpy.isfinite(found).all(), "not all numbers are finite"
    return float(numpy.abs(found - expected).max() / max(numpy.abs(expected).max(), 1e-6))


def main():
    folder, tolerance = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1e-4
    failed = 0
    for case in json.loads((folder / "cases.json").read_text()):
        try:
            error = run(folder, case)
            good = error <= tolerance
            print(f"{'ok  ' if good else 'FAIL'} {case['name']}: {error:.1e}")
        except Exception as problem:
            good = False
            print(f"FAIL {case['name']}: {type(problem).__name__}: {str(problem)[:600]}")
        failed += not good
    sys.exit(bool(failed))


main()
