"""Inference in ONNX Runtime on the exported files."""
import os

from clock import arguments, measure

options = arguments(__doc__)
import numpy
import onnxruntime

session_options = onnxruntime.SessionOptions()
session_options.intra_op_num_threads = options.threads
session_options.inter_op_num_threads = 1
path = os.path.join(options.onnx, options.case + ".onnx")
session = onnxruntime.InferenceSession(path, session_options, providers=["CPUExecutionProvider"])
source = session.get_inputs()[0]
x = numpy.random.randn(*source.shape).astype("f4")
measure(lambda: session.run(None, {source.name: x}), options, onnxruntime.__version__)
