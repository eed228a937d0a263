"""Input pipeline of kerasdl against tf.data, torch's DataLoader and grain, on the same tasks.

    python benchmarks/input_pipeline.py [--files FOLDER] [--parts arrays files waiting]
                                        [--repeats 5] [--seconds 2] [--output FILE]

(a) arrays: 50,000 images of 32x32 in memory, each flipped with probability 1/2 and randomly cropped
after zero-padding by 4 pixels, to float32 batches of 128; (b) files: JPEG images and PNG masks of
480x360, decoded, resized to 256x320 (antialiased; masks
    nearest), flipped, to batches of 16. FOLDER holds images/train and masks/train (such as
    CamVid's); without it, files are drawn. kerasdl decodes every time here: no cache;
(c) waiting: seconds per training step that `fit` waits for its batch.

All feeders run in one process, in turns, `repeats` times. Shown are the median and the range of
samples per second, and samples per second of CPU time (one core), which is less affected by other
load. The ratio is to the fastest of the others, turn by turn. Feeders "per sample" use the library
as documented; "whole batches" are the fastest vectorized forms that we found.
"""

import argparse
import gc
import json
import multiprocessing
import os
import pathlib
import platform
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from kerasdl import backend  # noqa: E402

backend.choose()  # with the settings that training has, before Keras is imported

import grain  # noqa: E402
import keras  # noqa: E402
import numpy  # noqa: E402
import tensorflow  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

from kerasdl import models  # noqa: E402
from kerasdl.backend import tuning  # noqa: E402
from kerasdl.backend.distribution import feeding  # noqa: E402
from kerasdl.data import images as images  # noqa: E402
from kerasdl.data.arrays import ArraySplit  # noqa: E402
from kerasdl.data.pipeline.batches import Batches, Source  # noqa: E402
from kerasdl.data.pipeline.transforms import Augmentation  # noqa: E402
from kerasdl.engine import datasets  # noqa: E402
from kerasdl.runs import config  # noqa: E402
from kerasdl.tasks import (  # noqa: E402
    TASKS,  # noqa: E402
    classification,
    segmentation,
)

CORES = len(os.sched_getaffinity(0))
SIZE = (256, 320)
PARTS = ("arrays", "files", "waiting")


class Arrays:
    """Feeders of 32x32 images in memory."""

    def __init__(self):
        random = numpy.random.default_rng(0)
        self.images = random.integers(0, 256, (50000, 32, 32, 3), dtype=numpy.uint8)
        self.labels = random.integers(0, 10, 50000).astype("int32")

    def kerasdl(self):
        names = [str(index) for index in range(len(self.images))]
        source = Source(ArraySplit(self.images, self.labels, names), (32, 32))
        augment = Augmentation({"flip": True, "crop": 4, "fill": "zero"})
        return endless(Batches(source, classification.prepare, augment, 128, workers=CORES))

    def tf_data_per_sample(self):
        def prepare(image, label):
            image = tensorflow.image.random_flip_left_right(tensorflow.pad(image, PAD))
            return tensorflow.image.random_crop(image, (32, 32, 3)), label

        found = self._tf_data().map(prepare, tensorflow.data.AUTOTUNE).batch(128).map(to_unit)
        return found.prefetch(tensorflow.data.AUTOTUNE).as_numpy_iterator()

    def tf_data_whole_batches(self):
        def prepare(images, labels):
            count = tensorflow.shape(images)[0]
            images = tensorflow.pad(images, [[0, 0], *PAD])
            down = tensorflow.random.uniform((count, 1), 0, 9, "int32") + tensorflow.range(32)
            right = tensorflow.random.uniform((count, 1), 0, 9, "int32") + tensorflow.range(32)
            flips = tensorflow.random.uniform((count, 1)) < 0.5
            right = tensorflow.where(flips, right[:, ::-1], right)
            places = tensorflow.reshape(down[:, :, None] * 40 + right[:, None, :], (count, 1024))
            flat = tensorflow.reshape(images, (count, 1600, 3))
            images = tensorflow.gather(flat, places, axis=1, batch_dims=1)
            return to_unit(tensorflow.reshape(images, (count, 32, 32, 3)), labels)

        found = self._tf_data().batch(128).map(prepare, tensorflow.data.AUTOTUNE)
        return found.prefetch(tensorflow.data.AUTOTUNE).as_numpy_iterator()

    def _tf_data(self):
        found = tensorflow.data.Dataset.from_tensor_slices((self.images, self.labels))
        return found.shuffle(10000).repeat()

    def torch_per_sample(self):
        return endless(self._torch(PerSample(self), collate_fn=None))

    def torch_per_sample_workers(self):
        return endless(self._torch(PerSample(self), num_workers=CORES, persistent_workers=True))

    def torch_whole_batches(self):
        return endless(self._torch(WholeBatches(self), collate_fn=lambda batch: batch))

    def _torch(self, dataset, **options):
        return torch.utils.data.DataLoader(dataset, 128, shuffle=True, **options)

    def grain_per_sample(self):
        dataset = PerSample(self)
        found = grain.MapDataset.range(len(self.images)).seed(0).shuffle().repeat()
        return iter(found.map(dataset.numpy).batch(128).to_iter_dataset(READ))

    def grain_whole_batches(self):
        found = grain.MapDataset.range(len(self.images)).seed(0).shuffle().repeat()
        return iter(found.batch(128).map(WholeBatches(self).numpy).to_iter_dataset(READ))


class PerSample(torch.utils.data.Dataset):
    """One image at a time, as the tutorials of torch and grain do."""

    def __init__(self, arrays):
        self.images, self.labels = arrays.images, arrays.labels

    def __len__(self):
        return len(self.images)

    def numpy(self, index):
        random = numpy.random.default_rng(index)
        padded = numpy.zeros((40, 40, 3), numpy.uint8)
        padded[4:36, 4:36] = self.images[index]
        down, right = random.integers(0, 9, 2)
        image = padded[down : down + 32, right : right + 32]
        image = image[:, ::-1] if random.random() < 0.5 else image
        return numpy.multiply(image, numpy.float32(1 / 255)), self.labels[index]

    def __getitem__(self, index):
        image = torch.from_numpy(self.images[index]).permute(2, 0, 1)
        down, right, flip = torch.randint(0, 9, (3,)).tolist()
        image = torch.nn.functional.pad(image, (4, 4, 4, 4))
        image = image[:, down : down + 32, right : right + 32]
        image = image.flip(2) if flip < 4 else image
        return image.float() / 255, self.labels[index]


class WholeBatches(PerSample):
    """All images of a batch by one gather."""

    def __getitems__(self, indices):
        down, right = torch.randint(0, 9, (2, len(indices), 1)) + torch.arange(32)
        right = torch.where(torch.rand(len(indices), 1) < 0.5, right.flip(1), right)
        padded = torch.zeros((len(indices), 1600, 3), dtype=torch.uint8)
        inside = padded.view(-1, 40, 40, 3)[:, 4:36, 4:36]
        inside[:] = torch.from_numpy(self.images[indices])
        places = (down[:, :, None] * 40 + right[:, None, :]).view(len(indices), 1024)
        places += torch.arange(len(indices))[:, None] * 1600
        found = padded.view(-1, 3).index_select(0, places.view(-1)).view(-1, 32, 32, 3)
        return found.float() / 255, torch.from_numpy(self.labels[indices])

    def numpy(self, indices):
        random = numpy.random.default_rng(indices)
        down, right = random.integers(0, 9, (2, len(indices), 1)) + numpy.arange(32)
        right = numpy.where(random.random((len(indices), 1)) < 0.5, right[:, ::-1], right)
        padded = numpy.zeros((len(indices), 40, 40, 3), numpy.uint8)
        padded[:, 4:36, 4:36] = self.images[indices]
        rows = numpy.arange(len(indices))[:, None, None]
        found = padded[rows, down[:, :, None], right[:, None, :]]
        return numpy.multiply(found, numpy.float32(1 / 255)), self.labels[indices]


class Files(torch.utils.data.Dataset):
    """Feeders of JPEG images and PNG masks."""

    def __init__(self, folder):
        settings = {"task": "segmentation", "data": str(folder), "image_size": list(SIZE)}
        dataset = datasets.load(config.Config(**settings))
        self.split, self.classes = dataset.splits["train"], len(dataset.class_names)
        self.images = [str(entry.image) for entry in self.split.entries]
        self.masks = [str(entry.mask) for entry in self.split.entries]

    def kerasdl(self):
        return self._kerasdl(cache_megabytes=0)

    def kerasdl_cached(self):
        return self._kerasdl(cache_megabytes=4096)

    def _kerasdl(self, cache_megabytes):
        source = Source(self.split, SIZE, "stretch", cache_megabytes)
        if cache_megabytes:
            source.take(range(len(source)))
        augment = Augmentation({"flip": True}, masks=True)
        batches = Batches(source, segmentation.prepare, augment, 16, workers=CORES, drop_last=True)
        return endless(batches)

    def tf_data_per_sample(self):
        def prepare(image, mask):
            image = tensorflow.io.decode_jpeg(tensorflow.io.read_file(image), 3)
            mask = tensorflow.io.decode_png(tensorflow.io.read_file(mask), 1)
            image = tensorflow.image.resize(image, SIZE, antialias=True)
            mask = tensorflow.image.resize(mask, SIZE, "nearest")
            flip = tensorflow.random.uniform(()) < 0.5
            image = tensorflow.where(flip, image[:, ::-1], image)
            return image / 255, tensorflow.where(flip, mask[:, ::-1], mask)[..., 0]

        found = tensorflow.data.Dataset.from_tensor_slices((self.images, self.masks))
        found = found.shuffle(1000).repeat().map(prepare, tensorflow.data.AUTOTUNE).batch(16)
        return found.prefetch(tensorflow.data.AUTOTUNE).as_numpy_iterator()

    def torch_per_sample_workers(self):
        options = {"num_workers": CORES, "persistent_workers": True, "drop_last": True}
        return endless(torch.utils.data.DataLoader(self, 16, shuffle=True, **options))

    def grain_per_sample(self):
        found = grain.MapDataset.range(len(self)).seed(0).shuffle().repeat()
        return iter(found.map(self.__getitem__).batch(16).to_iter_dataset(READ))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        with Image.open(self.images[index]) as image, Image.open(self.masks[index]) as mask:
            image = image.convert("RGB").resize(SIZE[::-1], Image.Resampling.BILINEAR)
            image, mask = numpy.asarray(image), mask.resize(SIZE[::-1], Image.Resampling.NEAREST)
        mask = numpy.asarray(mask).astype("int32")
        if numpy.random.default_rng().random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        return numpy.multiply(image, numpy.float32(1 / 255)), mask.copy()


PAD = [[4, 4], [4, 4], [0, 0]]
READ = grain.ReadOptions(num_threads=CORES, prefetch_buffer_size=256)


def to_unit(images, labels):
    return tensorflow.cast(images, "float32") / 255, labels


def endless(feeder):
    """Batches of a feeder, epoch after epoch."""
    epoch = 0
    try:
        while True:
            if isinstance(feeder, Batches):
                feeder.set_epoch(epoch)
            yield from feeder
            epoch += 1
    finally:
        if isinstance(feeder, Batches):
            feeder.close()


def busy():
    """CPU seconds of this process and its running children."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        fields = pathlib.Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(iterator, seconds):
    """Samples per second of wall time and of CPU time."""
    start = time.perf_counter()
    while time.perf_counter() - start < seconds / 4:  # also consumes prefetched batches
        next(iterator)
    start, processor, count = time.perf_counter(), busy(), 0
    while time.perf_counter() - start < seconds:
        batch = next(iterator)
        count += len(batch[0])
    return count / (time.perf_counter() - start), count / (busy() - processor)


def compare(work, names, repeats, seconds):
    """Measures feeders in turn; the first is ours.

    A ratio is taken within a turn, to the competitor that is fastest over all turns, so that other
    load affects both. Each feeder is created for its turn and closed after it: its prefetching
    would slow down the next one.
    """
    found = {name: {"per_second": [], "per_core": []} for name in names}
    for _ in range(repeats):
        for name in names:
            iterator = getattr(work, name)()
            for values, value in zip(found[name].values(), measure(iterator, seconds), strict=True):
                values.append(value)
            del iterator
            gc.collect()
    rivals = [name for name in names if not name.startswith("kerasdl")]
    rows = {name: {} for name in names}
    for kind in ("per_second", "per_core"):
        best = max(rivals, key=lambda name: statistics.median(found[name][kind]))
        for name in names:
            values = found[name][kind]
            ratios = [value / other for value, other in zip(values, found[best][kind], strict=True)]
            for key, numbers in ((kind, values), (f"ratio_{kind}", ratios)):
                rows[name][key] = [statistics.median(numbers), min(numbers), max(numbers)]
    return rows


def wait(arrays, files, epochs):
    """Part (c), printed and returned."""
    names = [str(index) for index in range(2000)]
    split = ArraySplit(arrays.images[:2000], arrays.labels[:2000], names)
    augment = Augmentation(TASKS["classification"].augmentation)
    shape, outputs = (128, 160, 3), files.classes
    street = Augmentation(TASKS["segmentation"].augmentation, masks=True)
    found = {
        "resnet18 32x32 x 128, arrays": waiting(
            "resnet18", (32, 32, 3), 10, 128, split, classification, augment, epochs
        ),
        "unet 8 filters, files, cached": waiting(
            "unet", shape, outputs, 8, files.split, segmentation, street, epochs, filters=8
        ),
        "unet 8 filters, files, decoded": waiting(
            "unet", shape, outputs, 8, files.split, segmentation, street, epochs, 0, filters=8
        ),
    }
    print(f"\n(c) waiting for data per training step, backend {keras.backend.backend()}")
    for name, row in found.items():
        cells = ["{:.1f} ms ({:.1f}-{:.1f})".format(*row[key]) for key in ("step", "waiting")]
        fraction = row["waiting"][0] / row["step"][0]
        print(f"{name:32} step {cells[0]}, of which waiting {cells[1]}: {fraction:.2%}")
    return found


def waiting(name, inputs, outputs, batch_size, split, task, augment, epochs, cache=4096, **options):
    """Milliseconds per step of a short training, and those spent waiting for data.

    One extra epoch is trained first, which compiles and fills the cache and is not counted.
    """
    steps = 6
    model = models.build(name, inputs, outputs, **options)
    # Values beyond the classes are ignored ones, such as CamVid's 11.
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=outputs)
    model.compile(keras.optimizers.SGD(0.01), loss)
    model.optimizer.build(model.trainable_variables)
    tuning.tune(model)
    source = Source(split, inputs[:2], "stretch", cache)
    if cache:
        source.take(range(min(len(source), 512)))
    with Batches(source, task.prepare, augment, batch_size, steps_per_epoch=steps) as batches:
        clock = Clock(batches)
        setter = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: batches.set_epoch(epoch)
        )
        callbacks = [setter, clock]
        model.fit(
            feeding.feed(batches),
            epochs=epochs + 1,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
    found = {}
    for key, seconds in (("step", clock.seconds), ("waiting", clock.waited)):
        values = [1000 * value / steps for value in seconds[1:]]
        found[key] = [statistics.median(values), min(values), max(values)]
    return found


class Clock(keras.callbacks.Callback):
    """Seconds of each epoch, and seconds spent waiting for batches."""

    def __init__(self, batches):
        super().__init__()
        self.batches, self.seconds, self.waited = batches, [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)
        self.waited.append(self.batches.waited)


def draw_files(folder, count=64):
    """Images with masks about as complex as a street scene, if no folder is given."""
    random = numpy.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind / "train").mkdir(parents=True)
    for index in range(count):
        coarse = random.integers(0, 12, (12, 16), dtype=numpy.uint8)
        mask = images.resize_mask(coarse, (360, 480), "stretch")
        image = numpy.stack([mask * 20, mask * 15, 255 - mask * 20], 2)
        image = image // 2 + random.integers(0, 60, image.shape, dtype=numpy.uint8)
        Image.fromarray(image).save(folder / f"images/train/{index}.jpg", quality=90)
        Image.fromarray(mask).save(folder / f"masks/train/{index}.png")


def show(title, rows):
    head = ("samples/s", "per core", "ratio", "ratio per core")
    print(f"\n{title}\n{'feeder':26}" + "".join(f"{text:>22}" for text in head))
    for name, row in rows.items():
        cells = ["{:.0f} ({:.0f}-{:.0f})".format(*row[key]) for key in ("per_second", "per_core")]
        for key in ("ratio_per_second", "ratio_per_core"):
            cells.append("{:.2f} ({:.2f}-{:.2f})".format(*row[key]))
        print(f"{name:26}" + "".join(f"{cell:>22}" for cell in cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=pathlib.Path)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--output", type=pathlib.Path, help="also write the numbers as JSON")
    options = parser.parse_args()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the workers of a DataLoader
    result = {
        "machine": f"{platform.machine()}, {CORES} cores, Python {platform.python_version()}",
        "versions": {
            module.__name__: module.__version__ for module in (keras, numpy, tensorflow, torch)
        },
        "backend": keras.backend.backend(),
        "load": os.getloadavg(),
    }
    print(", ".join(f"{key} {value}" for key, value in result.items()))
    arrays = Arrays()
    if "arrays" in options.parts:
        names = [name for name in vars(Arrays) if name[0] != "_"]
        result["arrays"] = compare(arrays, names, options.repeats, options.seconds)
        show("(a) 32x32 arrays, flip and crop", result["arrays"])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if options.files is None:
            draw_files(folder)
        files = Files(options.files or folder)
        if "files" in options.parts:
            names = [name for name in vars(Files) if name[0] != "_"]
            result["files"] = compare(files, names, options.repeats, options.seconds)
            show("(b) JPEG and PNG files, resize and flip", result["files"])
        if "waiting" in options.parts:
            torch.set_num_threads(threads)
            result["waiting"] = wait(arrays, files, options.repeats)
    print(f"load at the end: {os.getloadavg()}")
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
