"""Predictions of the same classifier for the same files, each as its own users would make them.

`peers.py` starts them, each in a process of its own, as the trainings of `peer_training.py`.
"""

import time

import numpy
import psutil
from peer_data import BATCH, SIDE
from peer_training import memory


def work(job):
    """Seconds of all images: first since the process was started, then again and again."""
    predict = PREDICTORS[job["peer"]](job)
    found = predict(job["images"])
    yield {
        "since_start": time.time() - psutil.Process().create_time(),
        "classes": [int(each) for each in found[:8]],
    }
    while True:
        began = time.perf_counter()
        predict(job["images"])
        yield {"seconds": time.perf_counter() - began, "peak_bytes": memory()}


def kerasdl(job):
    """A run, or a file that it was exported to."""
    from kerasdl.engine import run

    predictor = run.predictor(job["run"] if job["peer"] == "kerasdl" else job["onnx"])

    def predict(images):
        found = predictor.run(images)
        return [each.classes[0][0].removeprefix("class") for each in found]

    return predict


def keras_predict(job):
    """`model.predict` of the model file, from `tf.data`."""
    import keras
    import tensorflow as tf

    model = keras.models.load_model(job["model"], compile=False)

    def read(path):
        image = tf.io.decode_png(tf.io.read_file(path), 3)
        return tf.image.resize(image, (SIDE, SIDE)) / 255.0

    def predict(images):
        found = tf.data.Dataset.from_tensor_slices(images).map(read, tf.data.AUTOTUNE)
        logits = model.predict(found.batch(BATCH).prefetch(tf.data.AUTOTUNE), verbose=0)
        return logits.argmax(axis=1)

    return predict


def lightning(job):
    """`Trainer.predict` of a network of the same shape; its weights are other ones."""
    import peer_torch

    peer_torch.vision()
    import torch
    from lightning import pytorch

    class Module(pytorch.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = peer_torch.network({**job, "model": "resnet18"})

        def predict_step(self, batch, number):
            x = batch[0].to(memory_format=torch.channels_last)
            return self.network(x).argmax(1)

    module = Module()
    trainer = pytorch.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False,
        enable_model_summary=False,
    )  # fmt: skip

    def predict(images):
        return torch.cat(trainer.predict(module, peer_torch.unlabeled(images))).tolist()

    return predict


def onnxruntime(job):
    """The exported file in onnxruntime, in a loop of a few lines with Pillow."""
    import onnxruntime
    import PIL.Image

    session = onnxruntime.InferenceSession(job["onnx"], providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    fixed = entry.shape[0] if isinstance(entry.shape[0], int) else BATCH

    def read(path):
        image = PIL.Image.open(path).convert("RGB").resize((SIDE, SIDE))
        return numpy.asarray(image, "float32") / 255

    def predict(images):
        found = []
        for first in range(0, len(images), fixed):
            x = numpy.stack([read(each) for each in images[first : first + fixed]])
            if entry.shape[1] == 3:
                x = x.transpose(0, 3, 1, 2)
            found += session.run(None, {entry.name: x})[0].argmax(axis=-1).tolist()
        return found

    return predict


PREDICTORS = {
    "kerasdl": kerasdl,
    "kerasdl-onnx": kerasdl,
    "keras-predict": keras_predict,
    "lightning": lightning,
    "onnxruntime": onnxruntime,
}
