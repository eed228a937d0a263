"""Networks, written with Keras' functional API and its own layers only.

Every builder takes `(input_shape, outputs, **options)` and returns a `keras.Model` whose output is
linear float32: logits for classes, colors for colorization. It knows no task and no data.
"""

import importlib
import inspect

from kerasdl.core.errors import ConfigError, suggest

# name -> module with a function of that name ("-" is "_" there), so that listing the names imports
# no Keras.
MODELS = {
    "resnet18": "kerasdl.models.resnet",
    "fcn32": "kerasdl.models.fcn",
    "fcn16": "kerasdl.models.fcn",
    "fcn8": "kerasdl.models.fcn",
    "unet": "kerasdl.models.u_net",
    "unet-resnet18": "kerasdl.models.u_net",
}


def builder(name):
    """The builder function of a network. Raises ConfigError with the closest known name."""
    require_known(name)
    return getattr(importlib.import_module(MODELS[name]), name.replace("-", "_"))


def build(name, input_shape, outputs, **options):
    """Builds a network.

    Args:
        name: One of `MODELS`.
        input_shape: (height, width, channels); height and width of 8 or more.
        outputs: Number of classes or of color channels.
        **options: Options of that network, see its builder.

    Returns:
        `keras.Model`: (batch, height, width, channels) to (batch, outputs) for a classifier, to
        (batch, height, width, outputs) for the others.

    Raises:
        ConfigError: Unknown network or option, or an option value it does not take.
    """
    function = builder(name)
    known = options_of(name)
    for option in options:
        if option not in known:
            if not known:
                raise ConfigError(f"model '{name}' takes no options, received '{option}'")
            raise suggest(f"option of model '{name}'", option, known)
    if len(input_shape) != 3 or min(input_shape) < 1 or outputs < 1:
        raise ConfigError(f"no network for input {tuple(input_shape)} and {outputs} outputs")
    return function(tuple(input_shape), outputs, **options)


def settled(name, image_size, options):
    """Options with what "auto" means at a size written out, so that another size changes nothing.

    Args:
        name: One of `MODELS`.
        image_size: (height, width) that decides.
        options: Options as given.
    """
    if name != "resnet18" or options.get("stem", "auto") != "auto":
        return dict(options)
    from kerasdl.models import resnet

    return {**options, "stem": resnet.stem_for(image_size)}


def options_of(name):
    """Names of the options that a network takes. Raises ConfigError if there is no such network."""
    return list(inspect.signature(builder(name)).parameters)[2:]


def require_known(name):
    """Raises ConfigError with the closest known name unless there is a network `name`."""
    if name not in MODELS:
        raise suggest("model", name, MODELS)
