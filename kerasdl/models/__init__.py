"""Models, written with Keras' functional API and its own layers only.

Every builder takes `(input_shape, outputs, **options)` and returns a `keras.Model` whose output is
linear float32: logits for classes, colors for colorization. It does not depend on tasks or data.

`MODELS` describes each model without importing Keras. The builders are also attributes
of this package, for use from plain Keras code: `kerasdl.models.unet((64, 64, 3), 10)`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kerasdl.core.errors import ConfigError, suggest
from kerasdl.core.registry import Reference, Registry, attributes, load

if TYPE_CHECKING:
    import keras

    from kerasdl.models.fcn import fcn8 as fcn8
    from kerasdl.models.fcn import fcn16 as fcn16
    from kerasdl.models.fcn import fcn32 as fcn32
    from kerasdl.models.resnet import resnet18 as resnet18
    from kerasdl.models.u_net import unet as unet
    from kerasdl.models.u_net import unet_resnet18 as unet_resnet18

SMALL_STEM_SIDE = 40  # up to this many pixels per side ResNet-18 uses the small stem
STEM_STRIDES = {"imagenet": 32, "small": 8}  # output stride of the body with each stem
MAX_DEPTH = 16


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a model: a key of `model_args`.

    Attributes:
        name: Name of the builder's keyword argument.
        values: The values it takes, as text: "auto, imagenet or small".
        help: What it does, in one sentence.
    """

    name: str
    values: str
    help: str


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """A model: its names, how it is built, what it can do.

    Attributes:
        name: Name on the command line.
        label: Display name, such as "FCN-8s".
        builder: Function `(input_shape, outputs, **options)` -> `keras.Model`.
        tasks: Names of the tasks it can do.
        options: Its options.
        stride: Function (options, image_size) -> output stride: input pixels per side per pixel of
            the coarsest feature map; or that number.
        resolve: Function (options, image_size) -> options with "auto" resolved.
        describe: Function (options, label) -> label that distinguishes variants of the model.
        residual: Whether it has a ResNet-18 body, and can be initialized from other models that
            have one.
        max_outputs: Largest supported number of outputs, or None.
    """

    name: str
    label: str
    builder: Reference
    tasks: tuple[str, ...]
    options: tuple[Option, ...] = ()
    stride: int | Reference = 32
    resolve: Reference | None = None
    describe: Reference | None = None
    residual: bool = False
    max_outputs: int | None = None


def stem_for(stem: str, image_size: Sequence[int]) -> str:
    """The stem of a ResNet-18, "auto" resolved: small up to 40 pixels per side."""
    if stem != "auto":
        return stem
    return "small" if max(image_size) <= SMALL_STEM_SIDE else "imagenet"


def _stem_resolved(options: Mapping[str, Any], image_size: Sequence[int]) -> dict[str, Any]:
    return {**options, "stem": stem_for(options.get("stem", "auto"), image_size)}


def _classifier_stride(options: Mapping[str, Any], image_size: Sequence[int]) -> int:
    return _body_stride(_stem_resolved(options, image_size), image_size)


def _body_stride(options: Mapping[str, Any], image_size: Sequence[int]) -> int:
    return STEM_STRIDES["small" if options.get("stem") == "small" else "imagenet"]


def _unet_stride(options: Mapping[str, Any], image_size: Sequence[int]) -> int:
    depth = options.get("depth", 4)
    return 2 ** min(depth, MAX_DEPTH) if isinstance(depth, int) else 2**4


def _skips_label(options: Mapping[str, Any], label: str) -> str:
    """ "U-Net" with all skips, else "U-Net without skips", "U-Net, skips 1, 2"."""
    skips = skip_levels(options.get("skips", "all"), options.get("depth", 4))
    if skips == "all":
        return label
    return f"{label} without skips" if skips == "none" else f"{label}, skips {skips}"


def skip_levels(skips: str | Sequence[int], depth: int = 4) -> str:
    """Skip connections kept, as text: "all", "none", "1, 2", "all but 2".

    Args:
        skips: "all", "none" or a list of levels.
        depth: Number of levels.
    """
    if isinstance(skips, str):
        return skips
    removed = sorted(set(range(1, depth + 1)) - set(skips))
    if not skips or not removed:
        return "all" if skips else "none"
    if len(removed) == 1 and depth > 2:
        return f"all but {removed[0]}"
    return ", ".join(str(level) for level in sorted(skips))


_DENSE = ("segmentation", "colorization")
_SKIPS = Option(
    "skips", "all, none, or levels such as [1, 3]", "Skip connections kept; 1 is the finest."
)
_FCN_STEM = Option("stem", "imagenet or small", "First layers: 7x7 with stride 4, or 3x3.")


def _fcn(stride: int) -> ModelSpec:
    return ModelSpec(
        name=f"fcn{stride}",
        label=f"FCN-{stride}s",
        builder=f"kerasdl.models.fcn:fcn{stride}",
        tasks=_DENSE,
        options=(_FCN_STEM,),
        stride=_body_stride,
        residual=True,
        # The last kernel grows with the square of the outputs.
        max_outputs=256,
    )


MODELS: Registry[ModelSpec] = Registry(
    "model",
    (
        ModelSpec(
            name="resnet18",
            label="ResNet-18",
            builder="kerasdl.models.resnet:resnet18",
            tasks=("classification",),
            options=(
                Option(
                    "stem", "auto, imagenet or small", "First layers; auto: small up to 40 pixels."
                ),
                Option("filters", "1 or more", "Filters of the first stage; the paper has 64."),
            ),
            stride=_classifier_stride,
            resolve=_stem_resolved,
            residual=True,
        ),
        _fcn(32),
        _fcn(16),
        _fcn(8),
        ModelSpec(
            name="unet",
            label="U-Net",
            builder="kerasdl.models.u_net:unet",
            tasks=_DENSE,
            options=(
                _SKIPS,
                Option("filters", "1 or more", "Filters of the finest level; the paper has 64."),
                Option("depth", "1 or more", "Number of poolings; the paper has 4."),
            ),
            stride=_unet_stride,
            describe=_skips_label,
        ),
        ModelSpec(
            name="unet-resnet18",
            label="U-Net on ResNet-18",
            builder="kerasdl.models.u_net:unet_resnet18",
            tasks=_DENSE,
            options=(
                _SKIPS,
                Option("filters", "1 or more", "Filters of the decoder at full size."),
                _FCN_STEM,
            ),
            stride=_body_stride,
            describe=_skips_label,
            residual=True,
        ),
    ),
)


def build(
    name: str, input_shape: Sequence[int | None], outputs: int, **options: Any
) -> "keras.Model":
    """Builds a model.

    Args:
        name: One of `MODELS`.
        input_shape: (height, width, channels); height and width of 8 or more, or None for any
            multiple of the model's stride.
        outputs: Number of classes or of color channels.
        **options: Options of that model, see its builder.

    Returns:
        `keras.Model`: (batch, height, width, channels) to (batch, outputs) for a classifier, to
        (batch, height, width, outputs) for the others.

    Raises:
        ConfigError: Unknown model or option, or an option value it does not take.
    """
    spec = MODELS.require(name)
    known = option_names(name)
    for option in options:
        if option not in known:
            if not known:
                raise ConfigError(f"model '{name}' takes no options, received '{option}'")
            raise suggest(f"option of model '{name}'", option, known)
    sides = [side for side in input_shape if side is not None]
    if len(input_shape) != 3 or min(sides) < 1 or outputs < 1:
        raise ConfigError(f"no model for input {tuple(input_shape)} and {outputs} outputs")
    return load(spec.builder)(tuple(input_shape), outputs, **options)


def resolved(name: str, image_size: Sequence[int], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with "auto" resolved for an image size, so that they no longer depend on it."""
    resolve = MODELS.require(name).resolve
    return dict(options) if resolve is None else load(resolve)(options, image_size)


def resized(
    model: "keras.Model",
    name: str,
    size: Sequence[int | None],
    options: Mapping[str, Any],
) -> "keras.Model":
    """The model `name` for images of another (height, width), None for any, with these weights."""
    from kerasdl.models import blocks

    with blocks.undrawn():
        found = build(name, (*size, model.input_shape[-1]), model.output_shape[-1], **options)
    found.set_weights(model.get_weights())
    return found


def stride(name: str, options: Mapping[str, Any], image_size: Sequence[int]) -> int:
    """Output stride: input pixels per side per pixel of the model's coarsest feature map."""
    known = MODELS.require(name).stride
    return known if isinstance(known, int) else load(known)(options, image_size)


def label(name: str, options: Mapping[str, Any] | None = None) -> str:
    """Display name of a model with its options: "U-Net, skips 1, 2"."""
    if name not in MODELS:
        return name
    spec = MODELS[name]
    return spec.label if spec.describe is None else load(spec.describe)(options or {}, spec.label)


def option_names(name: str) -> list[str]:
    """Names of a model's options. Raises ConfigError if there is no such model."""
    return [option.name for option in MODELS.require(name).options]


def has_variants(name: str) -> bool:
    """Whether the options of a model give it another label, as skips do."""
    return name in MODELS and MODELS[name].describe is not None


# Builders as attributes, imported on first use: `kerasdl.models.unet(...)`.
_BUILDERS = [spec.builder for spec in MODELS.values() if isinstance(spec.builder, str)]

if not TYPE_CHECKING:  # a `__getattr__` would hide misspelled names from mypy
    __getattr__, __dir__ = attributes(__name__, _BUILDERS)
