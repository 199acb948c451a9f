"""Training steps in plain JAX: one jitted function (NHWC). The caller pins the cores."""
import os

from clock import arguments, measure

options = arguments(__doc__)
if options.threads == 1:
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

rng = np.random.default_rng(0)
relu = jax.nn.relu
NHWC = ("NHWC", "HWIO", "NHWC")


class Net:
    """Reads parameters in order; the first time, without any, it makes them."""

    def __init__(self, parameters=None):
        self.making, self.next = parameters is None, 0
        self.parameters = [] if self.making else parameters

    def get(self, shape, fan, ones=False):
        if self.making:
            new = jnp.ones(shape) if ones else jnp.zeros(shape)
            if fan:
                new = jnp.asarray(rng.normal(0, (2 / fan) ** 0.5, shape).astype("f4"))
            self.parameters.append(new)
        self.next += 1
        return self.parameters[self.next - 1]

    def conv(self, x, filters, size, stride=1, padding="SAME", bias=True):
        weight = self.get((size, size, x.shape[-1], filters), size * size * x.shape[-1])
        y = lax.conv_general_dilated(x, weight, (stride, stride), padding, dimension_numbers=NHWC)
        return y + self.get((filters,), 0) if bias else y

    def up(self, x, filters):
        weight = self.get((2, 2, x.shape[-1], filters), 4 * x.shape[-1])
        return lax.conv_transpose(x, weight, (2, 2), "VALID", dimension_numbers=NHWC) + self.get((filters,), 0)

    def dense(self, x, units):
        return x @ self.get((x.shape[-1], units), x.shape[-1]) + self.get((units,), 0)

    def norm(self, x):
        mean = x.mean((0, 1, 2))
        variance = (x * x).mean((0, 1, 2)) - mean * mean
        scale = lax.rsqrt(variance + 1e-5) * self.get((x.shape[-1],), 0, True)
        return (x - mean) * scale + self.get((x.shape[-1],), 0)

    def twice(self, x, filters):
        for _ in range(2):
            x = relu(self.norm(self.conv(x, filters, 3, bias=False)))
        return x


def pool(x, size=2, stride=2, padding="VALID"):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1), padding)


def flat(x):
    return x.reshape(x.shape[0], -1)


def tiny(n, x):
    return n.dense(jnp.tanh(n.dense(jnp.tanh(n.dense(x, 4)), 4)), 1)


def mlp(n, x):
    return n.dense(relu(n.dense(relu(n.dense(x, 256)), 128)), 10)


def lenet(n, x):
    for filters in (6, 16):
        x = pool(relu(n.conv(x, filters, 5, padding="VALID")))
    return n.dense(relu(n.dense(relu(n.dense(flat(x), 120)), 84)), 10)


def cnn64(n, x):
    for filters in (32, 64, 128):
        x = pool(relu(n.conv(relu(n.conv(x, filters, 3)), filters, 3)))
    return n.dense(relu(n.dense(flat(x), 256)), 10)


def resnet18(n, x):
    x = pool(relu(n.norm(n.conv(x, 64, 7, 2, bias=False))), 3, 2, "SAME")
    for filters, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            y = relu(n.norm(n.conv(x, filters, 3, stride, bias=False)))
            y = n.norm(n.conv(y, filters, 3, bias=False))
            if stride != 1 or x.shape[-1] != filters:
                x = n.norm(n.conv(x, filters, 1, stride, bias=False))
            x = relu(x + y)
    return n.dense(x.mean((1, 2)), 10)


def unet(n, x):
    skips = []
    for filters in (32, 64, 128, 256):
        x = n.twice(x, filters)
        skips.append(x)
        x = pool(x)
    x = n.twice(x, 512)
    for filters in (256, 128, 64, 32):
        x = n.twice(jnp.concatenate([n.up(x, filters), skips.pop()], -1), filters)
    return n.conv(x, 1, 1)


CASES = {
    "tiny": (tiny, (10, 2)), "mlp": (mlp, (128, 784)), "lenet64": (lenet, (64, 32, 32, 1)),
    "lenet256": (lenet, (256, 32, 32, 1)), "cnn64": (cnn64, (64, 64, 64, 3)), "resnet18": (resnet18, (32, 64, 64, 3)),
    "unet": (unet, (4, 256, 256, 3)),
}
network, shape = CASES[options.case]
X = jnp.asarray(rng.normal(size=shape).astype("f4"))
if options.case == "tiny":
    Y = jnp.asarray(rng.normal(size=(shape[0], 1)).astype("f4"))
elif options.case == "unet":
    Y = jnp.asarray(rng.integers(0, 2, shape[:3] + (1,)).astype("f4"))
else:
    Y = jnp.arange(shape[0]) % 10


def loss(parameters, x, y):
    z = network(Net(list(parameters)), x)
    if options.case == "tiny":
        return ((z - y) ** 2).mean()
    if options.case == "unet":
        return (relu(z) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))).mean()
    return -jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()


@jax.jit
def descend(parameters, velocity, x, y):
    gradients = jax.grad(loss)(parameters, x, y)
    velocity = [0.9 * v + g for v, g in zip(velocity, gradients)]
    return [p - 1e-4 * v for p, v in zip(parameters, velocity)], velocity


maker = Net()
network(maker, X)
state = maker.parameters, [jnp.zeros_like(p) for p in maker.parameters]


def step():
    global state
    state = descend(*state, X, Y)
    jax.block_until_ready(state)


measure(step, options, jax.__version__)
