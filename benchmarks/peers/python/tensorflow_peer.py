"""Training steps in TensorFlow: a Keras 3 model (NHWC) in one compiled graph (`tf.function`). The caller pins the cores."""
from clock import arguments, measure

options = arguments(__doc__)
import tensorflow as tf
import keras
from keras import layers as L

tf.config.threading.set_intra_op_parallelism_threads(options.threads)
tf.config.threading.set_inter_op_parallelism_threads(options.threads)


def conv(x, filters, kernel, stride=1, bias=True, padding="same"):
    return L.Conv2D(filters, kernel, stride, padding=padding, use_bias=bias)(x)


def norm(x):
    return L.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def relu(x):
    return L.ReLU()(x)


def block(x, filters, stride):
    y = relu(norm(conv(x, filters, 3, stride, False)))
    y = norm(conv(y, filters, 3, 1, False))
    if stride != 1 or x.shape[-1] != filters:
        x = norm(conv(x, filters, 1, stride, False))
    return relu(L.Add()([x, y]))


def twice(x, filters):
    for _ in range(2):
        x = relu(norm(conv(x, filters, 3, 1, False)))
    return x


def tiny(x):
    return L.Dense(1)(L.Dense(4, "tanh")(L.Dense(4, "tanh")(x)))


def mlp(x):
    return L.Dense(10)(L.Dense(128, "relu")(L.Dense(256, "relu")(x)))


def lenet(x):
    for filters in (6, 16):
        x = L.MaxPool2D()(relu(conv(x, filters, 5, padding="valid")))
    return L.Dense(10)(L.Dense(84, "relu")(L.Dense(120, "relu")(L.Flatten()(x))))


def cnn64(x):
    for filters in (32, 64, 128):
        x = L.MaxPool2D()(relu(conv(relu(conv(x, filters, 3)), filters, 3)))
    return L.Dense(10)(L.Dense(256, "relu")(L.Flatten()(x)))


def resnet18(x):
    x = L.MaxPool2D(3, 2, "same")(relu(norm(conv(x, 64, 7, 2, False))))
    for filters, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        x = block(block(x, filters, stride), filters, 1)
    return L.Dense(10)(L.GlobalAveragePooling2D()(x))


def unet(x):
    skips = []
    for filters in (32, 64, 128, 256):
        x = twice(x, filters)
        skips.append(x)
        x = L.MaxPool2D()(x)
    x = twice(x, 512)
    for filters in (256, 128, 64, 32):
        x = twice(L.Concatenate()([L.Conv2DTranspose(filters, 2, 2)(x), skips.pop()]), filters)
    return conv(x, 1, 1)


def classifier(x):
    x = L.Flatten()(x)
    for _ in range(2):
        x = L.Dense(4096, "relu")(L.Dropout(0.5)(x))
    return L.Dense(10)(x)


def alexnet(x):
    x = relu(conv(L.ZeroPadding2D(2)(x), 64, 11, 4, padding="valid"))
    x = relu(conv(L.MaxPool2D(3, 2)(x), 192, 5))
    x = relu(conv(L.MaxPool2D(3, 2)(x), 384, 3))
    x = relu(conv(relu(conv(x, 256, 3)), 256, 3))
    return classifier(L.MaxPool2D(3, 2)(x))


def vgg16(x):
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            x = relu(conv(x, filters, 3))
        x = L.MaxPool2D()(x)
    return classifier(x)


CASES = {
    "tiny": (tiny, (2,), 10), "mlp": (mlp, (784,), 128), "lenet64": (lenet, (32, 32, 1), 64),
    "lenet256": (lenet, (32, 32, 1), 256), "cnn64": (cnn64, (64, 64, 3), 64), "resnet18": (resnet18, (64, 64, 3), 32),
    "unet": (unet, (256, 256, 3), 4), "alexnet": (alexnet, (224, 224, 3), 8), "vgg16": (vgg16, (224, 224, 3), 8),
}
build, shape, batch = CASES[options.case]
keras.utils.set_random_seed(0)
source = L.Input(shape)
model = keras.Model(source, build(source))
optimizer = keras.optimizers.SGD(1e-4, momentum=0.9)
optimizer.build(model.trainable_variables)
x = tf.random.normal((batch,) + shape)
if options.case == "tiny":
    y, loss = tf.random.normal((batch, 1)), keras.losses.MeanSquaredError()
elif options.case == "unet":
    y, loss = tf.round(tf.random.uniform((batch,) + shape[:2] + (1,))), keras.losses.BinaryCrossentropy(from_logits=True)
else:
    y, loss = tf.range(batch) % 10, keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def step(x, y):
    with tf.GradientTape() as tape:
        value = loss(y, model(x, training=True))
    optimizer.apply_gradients(zip(tape.gradient(value, model.trainable_variables), model.trainable_variables))
    return value


measure(lambda: step(x, y).numpy(), options, tf.__version__)
