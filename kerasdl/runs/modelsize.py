"""How large a network `config.json` asks for, counted before Keras builds it.

A file of a few kilobytes can name a layer of 10^9 units; Keras would take the memory for it before
it sees that the file has no such weights. So the weights that the configuration declares are
counted, and must have room in the file.
"""

from kerasdl.core.errors import ModelFileError

MAX_LAYERS = 1000
MAX_NUMBER = 2**16  # units, filters, channels, height, width
MAX_EXTENT = 256  # of a window, a step, or a border; FCN-32 has windows of 64
SMALLEST_WEIGHT_BYTES = 2  # float16

_EXTENTS = (
    "cropping",
    "dilation_rate",
    "kernel_size",
    "output_padding",
    "padding",
    "pool_size",
    "size",
    "strides",
)
_MAY_BE_LARGE = ("seed", "shared_object_id")
_MUST_BE_EMPTY = ("lora_rank", "quantization_config")  # each adds weights of its own
WITHOUT_WEIGHTS = frozenset(
    (
        "Activation",
        "Add",
        "Concatenate",
        "Cropping2D",
        "Dropout",
        "GlobalAveragePooling2D",
        "InputLayer",
        "MaxPooling2D",
        "ReLU",
        "UpSampling2D",
        "ZeroPadding2D",
    )
)
# Class -> number of weights for (configuration, input channels).
WEIGHTS = {
    "BatchNormalization": lambda layer, channels: 4 * channels,
    "Conv2D": lambda layer, channels: _window(layer) * channels * layer["filters"],
    "Conv2DTranspose": lambda layer, channels: _window(layer) * channels * layer["filters"],
    "Dense": lambda layer, channels: channels * layer["units"],
}


def check_size(config, weights_bytes, path=None):
    """Raises ModelFileError if a parsed `config.json` asks for more than its file can hold.

    Args:
        config: Content of `config.json`.
        weights_bytes: Size of the file's `model.weights.h5`.
        path: The model file, for the message.
    """
    try:
        layers = len(config["config"]["layers"])
        weights = _check_numbers(config, path)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelFileError("config.json has not the form that Keras writes", path) from error
    if layers > MAX_LAYERS:
        raise ModelFileError(f"the model has {layers} layers, allowed are {MAX_LAYERS}", path)
    if weights * SMALLEST_WEIGHT_BYTES > weights_bytes:
        raise ModelFileError(
            f"config.json declares {weights} weights, model.weights.h5 has {weights_bytes} bytes",
            path,
        )


def _check_numbers(value, path):
    """Number of weights declared in a part of the configuration, its numbers checked."""
    if isinstance(value, list):
        return sum(_check_numbers(item, path) for item in value)
    if not isinstance(value, dict):
        return 0
    weights = 0
    if value.get("class_name") in WEIGHTS:
        weights += WEIGHTS[value["class_name"]](value["config"], _channels(value))
    for key, item in value.items():
        limit = MAX_EXTENT if key in _EXTENTS else MAX_NUMBER
        if key in _MUST_BE_EMPTY and item is not None:
            raise ModelFileError(f"the model has a {key}, which kerasdl never writes", path)
        if key == "data_format" and item not in (None, "channels_last"):
            raise ModelFileError(f"the model has the data format {str(item)[:50]!r}", path)
        if key == "batch_shape" and item[0] is not None:
            raise ModelFileError("the model has a fixed batch size", path)
        if key not in _MAY_BE_LARGE and any(abs(each) > limit for each in _integers(item)):
            raise ModelFileError(f"the model has {key} {str(item)[:50]}, at most {limit}", path)
        weights += _check_numbers(item, path)
    return weights


def _integers(value):
    """The integers in a value or in lists of it; those of inner tables are not meant."""
    if isinstance(value, list):
        for item in value:
            yield from _integers(item)
    elif type(value) is int:
        yield value


def _channels(layer):
    """Channels of a layer's input; Keras builds the layer for the shape stored with it."""
    return abs(layer["build_config"]["input_shape"][-1])


def _window(layer):
    height, width = layer["kernel_size"]
    return height * width
