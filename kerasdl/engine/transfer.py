"""Initializing a model from the weights of another one, layer by layer, by name."""

import fnmatch
import json
import logging
import pathlib

from kerasdl.core import files
from kerasdl.core.errors import ConfigError, ModelFileError
from kerasdl.models import MODELS, imagenet, torch_resnet
from kerasdl.runs import hub, modelfile, names, statedict
from kerasdl.runs.run import Run

# Layers of the residual body, shared by classifiers and dense prediction models.
BODY = ("stem_*", "stage?_block*")

logger = logging.getLogger("kerasdl")


def start(model, config, folder):
    """Copies the configuration's initial weights into a new model and records the layers.

    The record, init_weights.json in the run folder, lists the initialized layers, so that a resumed
    run no longer needs the weights.

    Args:
        model: The untrained model.
        config: Configuration; `weights` is a run, a `.keras` file, a state dict of PyTorch,
            "imagenet" or empty.
        folder: The acquired `kerasdl.runs.runfolder.RunFolder`.

    Raises:
        ModelFileError: The weights are missing, damaged or unsafe.
        ConfigError: No layer matches, or the ImageNet weights are not available.
    """
    if not config.weights:
        return
    weights, digest = _read(config.weights)
    copied, refused, body = copy_weights(weights, model)
    if not copied and refused:
        name, theirs, ours = refused[0]
        raise ConfigError(
            f"no layer of the weights has the shape that {config.model} needs: {name} is "
            f"{theirs} there and {ours} here", config.weights,
            "use weights with the same model_args.stem and filters; fcn* and unet-resnet18 have 64",
        )  # fmt: skip
    if not copied:
        raise ConfigError(
            f"the weights have no layer that {config.model} could use", config.weights,
            f"models with a shared body: {', '.join(n for n, m in MODELS.items() if m.residual)}",
        )  # fmt: skip
    logger.info("initial weights: %d of %d layers from %s", len(copied), len(body), config.weights)
    for name, theirs, ours in refused:
        stem = "; set model_args.stem as in the weights" if name == "stem_convolution" else ""
        logger.warning(
            "not initialized: %s is %s in the weights, %s here%s", name, theirs, ours, stem
        )
    head = is_state_dict(config.weights) and _copy_head(weights, model)
    folder.write_json(
        names.INIT_WEIGHTS,
        {
            "weights": config.weights,
            "sha256": digest,
            "layers": copied,
            "head": head,
            "refused": [[name, list(theirs), list(ours)] for name, theirs, ours in refused],
        },
    )


def freeze(model, config, folder):
    """Freezes the initialized layers, if configured.

    Their weights do not change, and their batch normalization uses the stored statistics, in
    training too.

    Raises:
        ModelFileError: The record of the layers is missing or damaged.
    """
    if not config.freeze:
        return
    path = folder.file(names.INIT_WEIGHTS)
    try:
        frozen = set(json.loads(path.read_text(encoding="utf-8"))["layers"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"which layers are frozen cannot be read ({error})", path, "start over: --overwrite"
        ) from error
    for layer in model.layers:
        if layer.name in frozen:
            layer.trainable = False


def weights_of(model):
    """The weights of a model by layer name: {name: [array, ...]}."""
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def copy_weights(weights, target):
    """Copies the weights of a residual body into a model, by layer name.

    A kernel for color images is summed over its input channels if the target takes gray images:
    sum_c k[c] g is the source's output for the gray image (g, g, g).

    Args:
        weights: Arrays by layer name.
        target: The model.

    Returns:
        `(copied, refused, body)`: names copied; (name, shape there, shape here) of layers with
        different shapes; names of all layers with weights in the target's body.
    """
    body = [
        layer
        for layer in target.layers
        if layer.weights and any(fnmatch.fnmatchcase(layer.name, pattern) for pattern in BODY)
    ]
    copied, refused = [], []
    for layer in body:
        if not weights.get(layer.name):
            continue
        values = weights[layer.name]
        wanted = [tuple(weight.shape) for weight in layer.weights]
        if layer.name == "stem_convolution" and wanted[0][2] == 1 and values[0].shape[2:3] == (3,):
            values = [values[0].sum(axis=2, keepdims=True)]
        if [value.shape for value in values] == wanted:
            layer.set_weights(values)
            copied.append(layer.name)
        else:
            refused.append((layer.name, values[0].shape, wanted[0]))
    return copied, refused, [layer.name for layer in body]


def is_state_dict(weights):
    """Whether the weights are a file of PyTorch or safetensors, by its suffix."""
    path = pathlib.Path(weights)
    return path.suffix in statedict.SUFFIXES and not (hub.is_remote(path) or path.is_dir())


def require(weights):
    """Raises ModelFileError if the weights are a path that does not exist."""
    if not weights or weights == "imagenet" or hub.is_remote(weights):
        return
    if not pathlib.Path(weights).expanduser().exists():
        raise ModelFileError("no such model file or run", weights)


def _copy_head(weights, model):
    """Copies the classifier of a state dict if the model has as many classes; says what it did.

    Not part of the body: it is not frozen with it.
    """
    there = weights.get(torch_resnet.HEAD)
    if there is None:
        logger.info("the file has no head (fc)")
        return False
    ours = next((each for each in model.layers if each.name == torch_resnet.HEAD), None)
    fits = ours is not None and [w.shape for w in ours.weights] == [v.shape for v in there]
    classes = len(there[-1])
    if fits:
        ours.set_weights(there)
        logger.info("initialized too: the head (fc), %d classes", classes)
    else:
        logger.info(
            "left out: the head (fc), %d classes there, %d outputs here", classes,
            model.output_shape[-1],
        )  # fmt: skip
    return fits


def _read(source):
    """The weights of a name, run folder or file, and the file's checksum or None.

    They are read by layer name, so a `.keras` file needs no model.json next to it.
    """
    if source == "imagenet":
        return weights_of(imagenet.resnet18()), None
    path = hub.local(source).expanduser()
    if path.is_dir():
        path = Run(path).best_model
    elif is_state_dict(source):
        try:
            return torch_resnet.convert(statedict.read(path)), files.sha256(path)
        except ModelFileError as error:
            raise ModelFileError(error.what, path, error.fix) from error
    return modelfile.read_weights(path), files.sha256(path)
