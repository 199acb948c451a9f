"""Training steps and inference in PyTorch.

Modes: eager; fused (SGD in one kernel); channels_last (NHWC memory, fused SGD); compile (inductor, fused SGD);
bf16 (autocast on channels_last, fused SGD; for inference the whole model in bf16). `--export DIR` writes the ONNX files.
"""
import os
import sys

from clock import arguments, measure


def training(torch, case, mode):
    from torch_models import TRAINING
    functional = torch.nn.functional
    build, shape, batch, loss = TRAINING[case]
    model, x = build(), torch.randn(batch, *shape)
    if mode in ("channels_last", "bf16") and len(shape) == 3:
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    if loss == "cross_entropy":
        y, criterion = torch.arange(batch) % 10, functional.cross_entropy
    elif loss == "squared_error":
        y, criterion = torch.randn(batch, 1), functional.mse_loss
    else:
        y, criterion = torch.rand(batch, 1, *shape[1:]).round(), functional.binary_cross_entropy_with_logits
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, fused=True if mode != "eager" else None)

    def forward():
        return criterion(model(x), y)
    if mode == "compile":
        forward = torch.compile(forward)

    def step():
        optimizer.zero_grad(set_to_none=True)
        if mode == "bf16":
            with torch.autocast("cpu", dtype=torch.bfloat16):
                value = forward()
        else:
            value = forward()
        value.backward()
        optimizer.step()
    return step


def inference(torch, case, mode):
    from torch_models import INFERENCE
    build, shape = INFERENCE[case]
    model, x = build().eval(), torch.randn(shape)
    if mode in ("channels_last", "bf16"):
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    if mode == "bf16":
        model, x = model.bfloat16(), x.bfloat16()
    if mode == "compile":
        import torch._inductor.config
        torch._inductor.config.freezing = True
        model = torch.compile(model)

    def step():
        with torch.inference_mode():
            model(x)
    return step


def export(folder):
    import torch
    from torch_models import INFERENCE
    os.makedirs(folder, exist_ok=True)
    for case, (build, shape) in INFERENCE.items():
        path = os.path.join(folder, case + ".onnx")
        if not os.path.exists(path):
            torch.manual_seed(0)
            torch.onnx.export(build().eval(), (torch.randn(shape),), path, dynamo=False, opset_version=17)


def main():
    if sys.argv[1:2] == ["--export"]:
        return export(sys.argv[2])
    options = arguments(__doc__)
    import torch
    from torch_models import TRAINING
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    make = training if options.case in TRAINING else inference
    measure(make(torch, options.case, options.mode), options, torch.__version__)


main()
