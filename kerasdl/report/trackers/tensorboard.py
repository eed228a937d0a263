"""TensorBoard, without TensorFlow: event files in the run folder."""

import sys
import time
import types

from PIL import Image

from kerasdl.core import files
from kerasdl.report import runs
from kerasdl.runs import config as configuration
from kerasdl.runs import names
from kerasdl.runs.run import Run


class Tracker:
    """Writes RUN/tensorboard anew at each start: event files cannot be cut back.

    Training and validation are two runs of TensorBoard with the same tags, so that it draws both in
    one chart; the scores of the best model are a third one, `test`.

    Args:
        path: The run folder.
        record: What trackers.json says; not needed, as all epochs are written again.
    """

    def __init__(self, path, record):
        # Else TensorBoard imports TensorFlow wherever it is installed, beside any backend.
        sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("notf"))
        self.path = path / names.TENSORBOARD
        self.sent = 0
        self._writers = {}
        files.remove(self.path)
        values = runs.flat(configuration.as_dict(Run(path).config))
        lines = ["| key | value |", "|---|---|", *(f"| {key} | {each} |" for key, each in values)]
        self._text("configuration", "\n".join(lines))

    def identity(self):
        """Nothing has to be known at the next start."""
        return {}

    def row(self, row):
        """One epoch."""
        scalars = {"train": {}, "validation": {}}
        for name, value in row.items():
            kind = "validation" if name.startswith("val_") else "train"
            scalars[kind][name.removeprefix("val_")] = value
        step = scalars["train"].pop("epoch")
        for kind, values in scalars.items():
            if values:
                self._scalars(kind, values, step)

    def results(self, scores, images, epochs):
        """Scores, figures and images of the finished run."""
        self._scalars("test", scores, epochs)
        from tensorboard.compat.proto import summary_pb2

        for name, file in images.items():
            with Image.open(file) as image:
                width, height = image.size
            shown = summary_pb2.Summary.Image(
                height=height, width=width, colorspace=3, encoded_image_string=file.read_bytes()
            )
            self._write("test", summary_pb2.Summary.Value(tag=name, image=shown), epochs)
        self._flush()

    def close(self, error):
        """Ends the files."""
        for writer in self._writers.values():
            writer.close()

    def _scalars(self, kind, values, step):
        from tensorboard.compat.proto import summary_pb2

        for name, value in values.items():
            self._write(kind, summary_pb2.Summary.Value(tag=name, simple_value=value), step)
        self._flush()

    def _text(self, tag, text):
        from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2

        plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="text")
        tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[text.encode()])
        value = summary_pb2.Summary.Value(
            tag=tag, tensor=tensor, metadata=summary_pb2.SummaryMetadata(plugin_data=plugin)
        )
        self._write("train", value, 0)

    def _write(self, kind, value, step):
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if kind not in self._writers:
            self._writers[kind] = EventFileWriter(str(self.path / kind))
        summary = summary_pb2.Summary(value=[value])
        event = event_pb2.Event(wall_time=time.time(), step=step, summary=summary)
        self._writers[kind].add_event(event)

    def _flush(self):
        for writer in self._writers.values():
            writer.flush()
