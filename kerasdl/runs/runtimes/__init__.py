"""Exported model files, each run by its own runtime, without Keras.

`open(path)` gives a `Runtime`: the checked metadata, and NumPy arrays in, NumPy arrays out.
`FORMATS` lists the formats; what one needs is imported when a file of it is opened.
"""

import dataclasses
import importlib.util
import logging
import os
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from kerasdl.core.errors import ConfigError, KerasdlError, ModelFileError, first_line
from kerasdl.core.registry import Reference, Registry, load
from kerasdl.runs.runtimes import checksum
from kerasdl.runs.runtimes import metadata as facts_of

if TYPE_CHECKING:
    import numpy

logger = logging.getLogger("kerasdl")

Shape = tuple[int | None, ...]  # None: any


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of exported files.

    Attributes:
        name: Name on the command line.
        label: Display name.
        suffix: Suffix of its files; "" for a folder.
        module: Top-level module of its runtime.
        extra: Extra of kerasdl that installs the runtime.
        backend: Keras backend that exports it best.
        load: Function (path, accept) -> `Loaded`; it calls `accept` with the metadata it finds
            before it loads the model.
        companion: Suffix of a second file beside the first, or "".
        checksum: Whether the metadata hold a checksum, because the format itself has none.
        half: Whether it takes float16 weights.
        int8: Whether it takes int8 weights and activations.
    """

    name: str
    label: str
    suffix: str
    module: str
    extra: str
    backend: str
    load: Reference
    companion: str = ""
    checksum: bool = True
    half: bool = True
    int8: bool = False


FORMATS: Registry[Format] = Registry(
    "format",
    (
        Format(
            name="onnx",
            label="ONNX",
            suffix=".onnx",
            module="onnxruntime",
            extra="onnx",
            backend="torch",
            load="kerasdl.runs.runtimes.onnx:load",
            int8=True,
        ),
        Format(
            name="saved_model",
            label="SavedModel",
            suffix="",
            module="tensorflow",
            extra="tensorflow",
            backend="tensorflow",
            load="kerasdl.backend.exported.saved_model:load",
            half=False,
        ),
        Format(
            name="litert",
            label="LiteRT",
            suffix=".tflite",
            module="ai_edge_litert",
            extra="litert",
            backend="tensorflow",
            load="kerasdl.runs.runtimes.litert:load",
            int8=True,
        ),
        Format(
            name="openvino",
            label="OpenVINO",
            suffix=".xml",
            module="openvino",
            extra="openvino",
            backend="torch",
            load="kerasdl.runs.runtimes.openvino:load",
            companion=".bin",
        ),
        Format(
            name="pt2",
            label="PyTorch",
            suffix=".pt2",
            module="torch",
            extra="torch",
            backend="torch",
            load="kerasdl.backend.exported.pt2:load",
            checksum=False,
        ),
    ),
)


class Loaded(NamedTuple):
    """A model as its runtime has it: shapes of input and output, and the function between them.

    `single()` gives the function again, which then computes in the thread that calls it, and may be
    called by several at once; None if the runtime has no such thing.
    """

    input_shape: Shape
    output_shape: Shape
    function: "Callable[[numpy.ndarray], numpy.ndarray]"
    single: "Callable[[], Callable[[numpy.ndarray], numpy.ndarray]] | None" = None


class Runtime:
    """An exported model.

    Attributes:
        path: The file or folder.
        format: Its `Format`.
        metadata: What `kerasdl.runs.runtimes.metadata` lists, checked.
        size: (height, width) it takes, or None: any multiple of the stride.
        stride: Output stride: pixels of the input per side of the coarsest feature.
        single: Function () -> the model for several threads that each compute alone, or None if the
            file is no longer what it was; None if the runtime has no such thing.
    """

    def __init__(self, path: pathlib.Path, kind: Format, metadata: dict[str, Any], loaded: Loaded):
        self.path = path
        self.format = kind
        self.metadata = metadata
        self.size: tuple[int, int] | None = metadata["size"] and tuple(metadata["size"])
        self.stride: int = metadata["stride"]
        self.single = None if loaded.single is None else self._single
        self._loaded = loaded
        # A class does not depend on what a model without padding of its own leaves at the border.
        self._pads = self.size is None and len(loaded.output_shape) == 4

    def _single(self) -> "Runtime | None":
        try:
            loaded = self._loaded._replace(function=self._loaded.single())
            _require_checksum(self.metadata, self.format, self.path)
        except Exception:  # runtimes raise anything; the model that is loaded computes the same
            logger.debug("cannot open the model again", exc_info=True)
            return None
        return Runtime(self.path, self.format, self.metadata, loaded)

    def outputs(self, x: "numpy.ndarray") -> "numpy.ndarray":
        """Outputs of the model, float32 (B, outputs) or (B, H, W, outputs).

        Args:
            x: float32 (B, H, W, channels), normalized as the metadata say. Where any size is
                allowed, it is padded to a multiple of the stride, and the outputs cropped back.

        Raises:
            ConfigError: The file does not take this size.
            ModelFileError: The runtime cannot run the model.
        """
        import numpy  # not at the top: the command line reads `FORMATS`

        height, width = x.shape[1:3]
        if self.size is not None and (height, width) != self.size:
            raise ConfigError(
                f"takes images of {self.size[0]}x{self.size[1]}, not {height}x{width}",
                self.path,
                "kerasdl export --dynamic",
            )
        padding = [(0, 0), *(_halves(side, self.stride, self._pads) for side in (height, width))]
        try:
            found = self._loaded.function(
                numpy.pad(x, [*padding, (0, 0)]) if any(map(any, padding)) else x
            )
        except Exception as error:  # runtimes raise anything
            raise ModelFileError(f"cannot be run ({first_line(error)})", self.path) from error
        if found.shape[-1] != self.metadata["outputs"]:
            raise ModelFileError(f"gave outputs of shape {found.shape}", self.path)
        if not numpy.isfinite(found.sum()):
            raise ModelFileError("gave outputs that are not finite", self.path)
        if self._pads:
            (top, _), (left, _) = padding[1:]
            found = found[:, top : top + height, left : left + width]
        return found


def _halves(side: int, stride: int, pads: bool) -> tuple[int, int]:
    """Zeros before and after a side, as `kerasdl.models.blocks.pad_to_multiple` has them."""
    missing = -side % stride if pads else 0
    return missing // 2, missing - missing // 2


def find_format(path: str | os.PathLike[str]) -> Format | None:
    """The format of a file or folder by its name and kind; None if it is none of them."""
    path = pathlib.Path(path)
    if path.is_dir():
        is_saved_model = (path / "saved_model.pb").exists()
        return next((f for f in FORMATS.values() if not f.suffix and is_saved_model), None)
    suffix = path.suffix.lower()
    return next((f for f in FORMATS.values() if f.suffix and f.suffix == suffix), None)


def require_installed(kind: Format, path: str | os.PathLike[str] | None = None) -> None:
    """Raises ConfigError naming the extra unless the runtime of a format can be imported."""
    if importlib.util.find_spec(kind.module) is None:
        raise ConfigError(
            f"{kind.label} files are run by {kind.module}, which is not installed",
            path,
            f"pip install 'kerasdl[{kind.extra}]'",
        )


def open(path: str | os.PathLike[str]) -> Runtime:
    """Opens a model file written by `kerasdl export`.

    Raises:
        ModelFileError: The file is missing, damaged, foreign, or contradicts its metadata.
        ConfigError: Its runtime is not installed.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise ModelFileError("no such model file", path)
    kind = find_format(path)
    if kind is None:
        known = ", ".join(f.suffix or "a SavedModel folder" for f in FORMATS.values())
        raise ModelFileError("not an exported model", path, f"known: {known}")
    require_installed(kind, path)
    metadata: dict[str, Any] = {}

    def accept(text: str | bytes | None) -> None:
        metadata.update(facts_of.loads(text, path))

    try:
        loaded = load(kind.load)(path, accept)
    except KerasdlError:
        raise
    except Exception as error:  # damaged files make runtimes raise anything
        raise ModelFileError(
            f"damaged, or not a valid {kind.label} file ({first_line(error)})", path
        ) from error
    _require_checksum(metadata, kind, path)
    _require_shapes(metadata, Loaded(*loaded), path)
    return Runtime(path, kind, metadata, Loaded(*loaded))


def _require_checksum(metadata: dict[str, Any], kind: Format, path: pathlib.Path) -> None:
    """Raises ModelFileError unless the file has the checksum in its metadata, if there is one."""
    stored = metadata["sha256"]
    if stored and checksum.compute(path, kind.companion, stored) != stored:
        raise ModelFileError("damaged: its content does not match its checksum", path)


def _require_shapes(metadata: dict[str, Any], loaded: Loaded, path: pathlib.Path) -> None:
    """Raises ModelFileError unless the model has the shapes that the metadata say."""
    size = metadata["size"] or (None, None)
    expected = (None, *size, metadata["channels"])
    outputs = loaded.output_shape
    if loaded.input_shape != expected or outputs[-1] not in (metadata["outputs"], None):
        shown = f"{loaded.input_shape} to {outputs}"
        raise ModelFileError(
            f"the model is {shown}, its metadata say {expected} to {metadata['outputs']} outputs",
            path,
        )
