"""What is compared: the cases, and who takes part in them and how."""
from dataclasses import dataclass, field


@dataclass
class Case:
    """A network with its batch. `graticule` is what `graticule bench` is told."""
    name: str
    about: str
    training: bool
    graticule: list
    quick: bool = False


def training(name, about, model, batch, loss="cross_entropy", quick=False):
    words = model.split() + ["--batch", str(batch), "--mode", "training", "--loss", loss]
    return Case(name, f"{about}, batch {batch}", True, words + ["--optimizer", "momentum:0.9"], quick)


def inference(name, about, model, batch, quick=False):
    words = model.split() + ["--batch", str(batch), "--mode", "inference"]
    return Case(name, f"{about}, batch {batch}", False, words, quick)


TEN = " --input 224x224x3 --classes 10"
THOUSAND = " --input 224x224x3 --classes 1000"
CASES = [
    training("tiny", "2-4-4-1, tanh, squared error", "models/tiny.toml", 10, "squared_error", quick=True),
    training("mlp", "784-256-128-10", "models/mlp.toml", 128, quick=True),
    training("lenet64", "LeNet-5 on 32×32×1", "models/lenet5.toml", 64, quick=True),
    training("lenet256", "LeNet-5 on 32×32×1", "models/lenet5.toml", 256),
    training("cnn64", "six 3×3 convolutions and dense 256 on 64×64×3", "models/cnn64.toml", 64, quick=True),
    training("resnet18", "ResNet-18 on 64×64×3", "resnet18 --input 64x64x3 --classes 10", 32, quick=True),
    training("unet", "U-Net of base 32 on 256×256×3", "unet --input 256x256x3 --classes 1", 4, "binary_cross_entropy"),
    training("alexnet", "AlexNet on 224×224×3", "alexnet-torchvision" + TEN, 8),
    training("vgg16", "VGG-16 on 224×224×3", "vgg16" + TEN, 8),
    inference("resnet18_b1", "ResNet-18 on 224×224×3, 1000 classes", "resnet18" + THOUSAND, 1, quick=True),
    inference("resnet18_b16", "ResNet-18 on 224×224×3, 1000 classes", "resnet18" + THOUSAND, 16),
    inference("squeezenet_b1", "SqueezeNet 1.1 on 224×224×3, 1000 classes", "squeezenet" + THOUSAND, 1),
    inference("unet512_b1", "U-Net of base 32 on 512×512×3", "unet --input 512x512x3 --classes 1", 1),
]

# Precisions of Graticule that multiply with fewer bits than f32 has; they need AMX.
REDUCED = ["high", "medium"]

TRAINING = {case.name for case in CASES if case.training}
INFERENCE = {case.name for case in CASES if not case.training}
FLAT = {"tiny", "mlp"}
SEVEN = {"tiny", "mlp", "lenet64", "lenet256", "cnn64", "resnet18", "unet"}


@dataclass
class Peer:
    """A competitor: `program` is a key of environments.Programs, `modes` are its ways of working."""
    name: str
    program: str
    modes: list
    cases: set
    # Modes that are no different from another one where samples are no images, or in inference.
    images_only: set = field(default_factory=set)
    training_only: set = field(default_factory=set)
    # Modes that compute in less than f32; they stand apart in the tables.
    reduced: set = field(default_factory=set)
    # Modes that --quick leaves out: they compile for a long time.
    slow: set = field(default_factory=set)
    # These take the number of threads from the cores that they may use.
    pinned: bool = False


PEERS = [
    Peer("torch", "torch", ["eager", "fused", "channels_last", "compile", "bf16"], TRAINING | INFERENCE,
         images_only={"channels_last"}, training_only={"fused"}, reduced={"bf16"}, slow={"compile"}),
    Peer("tensorflow", "tensorflow", ["graph"], TRAINING, pinned=True),
    Peer("jax", "jax", ["jit"], SEVEN, pinned=True),
    Peer("onnxruntime", "onnxruntime", ["cpu"], INFERENCE),
    Peer("burn", "burn", ["flex"], SEVEN | {"resnet18_b1", "resnet18_b16", "unet512_b1"}),
    Peer("candle", "candle", ["cpu"], SEVEN | {"resnet18_b1", "resnet18_b16", "unet512_b1"}),
    Peer("tract", "onnx", ["tract"], INFERENCE),
    Peer("rten", "onnx", ["rten"], INFERENCE),
]
