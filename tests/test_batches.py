"""Batches: every sample once per pass, the same whatever the workers, errors with their path."""

import os
import pathlib
import platform
import subprocess
import sys
import threading

import keras
import numpy
import pytest
from PIL import Image

from kerasdl.backend.distribution import feeding
from kerasdl.core.errors import ConfigError, DataError, KerasdlError
from kerasdl.data.base import Sample
from kerasdl.data.pipeline import batches as batches_module
from kerasdl.data.pipeline.batches import Batches, Source, _edges
from kerasdl.data.pipeline.transforms import Augmentation

SIZE = (8, 8)


class Numbered:
    """Split whose image, label and mask all hold the number of the sample."""

    def __init__(self, count, broken=()):
        self.count = count
        self.broken = broken
        self.reads = []

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index in self.broken:
            raise ValueError("the image is torn")
        self.reads.append(index)
        return Sample(
            numpy.full((*SIZE, 3), index, dtype=numpy.uint8),
            index,
            numpy.full(SIZE, index, dtype=numpy.uint8),
        )

    def name(self, index):
        return f"images/{index:03}.png"


def numbers(images, labels, masks):
    """The simplest preparation: the image and the number of the sample."""
    return images, labels


def make(count=11, source=None, **options):
    options = {"batch_size": 4, "seed": 3, **options}
    return Batches(source or Source(Numbered(count), SIZE), numbers, **options)


def read(batches, epoch):
    batches.set_epoch(epoch)
    return [labels.tolist() for _, labels in batches]


def test_every_sample_comes_exactly_once_per_epoch_in_a_new_order():
    with make() as batches:
        epochs = [read(batches, epoch) for epoch in range(3)]
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [4, 4, 3]
        assert sorted(sum(epoch, [])) == list(range(11))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_last_batch_of_one_sample_is_not_left_out(shuffle):
    with make(9, shuffle=shuffle) as batches:
        assert len(batches) == 3
        epoch = read(batches, 1)
    assert [len(batch) for batch in epoch] == [4, 4, 1]
    assert sorted(sum(epoch, [])) == list(range(9))


def test_without_shuffle_the_order_is_that_of_the_data():
    with make(shuffle=False) as batches:
        assert read(batches, 0) == read(batches, 5) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]


def test_last_batch_can_be_left_out():
    with make(drop_last=True) as batches:
        assert [len(batch) for batch in read(batches, 0)] == [4, 4]


def test_image_label_and_mask_of_a_batch_belong_together():
    def everything(images, labels, masks):
        return images, (labels, masks)

    with Batches(Source(Numbered(11), SIZE), everything, batch_size=4) as batches:
        for images, (labels, masks) in batches:
            assert (images == labels[:, None, None, None]).all()
            assert (masks == labels[:, None, None]).all()


def augmented(workers, epoch, cache_megabytes=4096):
    random = numpy.random.default_rng(0)
    images = random.integers(0, 256, (11, *SIZE, 3), dtype=numpy.uint8)

    class Images(Numbered):
        def __getitem__(self, index):
            return Sample(images[index], index)

    source = Source(Images(11), SIZE, cache_megabytes=cache_megabytes)
    augment = Augmentation({"brightness": 0.3, "random_erasing": 0.5})
    with make(source=source, augment=augment, workers=workers) as batches:
        batches.set_epoch(epoch)
        return [(x.copy(), labels.copy()) for x, labels in batches]


def equal(first, second):
    return all(
        (images == images2).all() and (labels == labels2).all()
        for (images, labels), (images2, labels2) in zip(first, second, strict=True)
    )


def test_one_and_three_workers_make_the_same_batches():
    assert equal(augmented(1, epoch=2), augmented(3, epoch=2))


def test_cache_does_not_change_batches():
    assert equal(augmented(2, epoch=1), augmented(2, epoch=1, cache_megabytes=0))


def test_augmentation_changes_with_the_epoch_and_not_with_the_batch_size():
    seen = {}
    augment = Augmentation({"brightness": 0.5})
    for batch_size, epoch in ((4, 0), (3, 0), (4, 1)):
        found = {}
        with make(augment=augment, batch_size=batch_size) as batches:
            batches.set_epoch(epoch)
            for images, labels in batches:
                found.update(zip(labels.tolist(), images.tolist(), strict=True))
        seen[batch_size, epoch] = found
    assert seen[4, 0] == seen[3, 0]
    assert seen[4, 0] != seen[4, 1]


def test_restart_at_an_epoch_gives_the_batches_of_the_first_run():
    with make() as batches:
        first = [read(batches, epoch) for epoch in range(4)]
    with make() as batches:
        assert read(batches, 2) == first[2]
        assert read(batches, 3) == first[3]


def test_seed_decides_the_order():
    with make(seed=3) as one, make(seed=4) as other:
        assert read(one, 0) != read(other, 0)


def test_virtual_epochs_lose_and_repeat_nothing():
    with make() as batches:
        endless = sum((read(batches, epoch) for epoch in range(5)), [])
    with make(steps_per_epoch=2) as batches:
        assert len(batches) == 2
        virtual = sum((read(batches, epoch) for epoch in range(7)), [])
    assert virtual == endless[:14]
    with make(steps_per_epoch=5) as batches:
        assert read(batches, 1) == endless[5:10]


def test_indices_tells_the_samples_of_a_batch():
    with make(steps_per_epoch=2) as batches:
        for epoch in (0, 3):
            expected = [batches.indices(epoch, step).tolist() for step in range(2)]
            assert read(batches, epoch) == expected


def test_batches_can_be_read_in_any_order_and_again():
    with make(19) as batches:
        straight = read(batches, 0)
        assert [batches[k][1].tolist() for k in (3, 0, 4, 0, 2, 1)] == [
            straight[k] for k in (3, 0, 4, 0, 2, 1)
        ]


def test_shards_together_are_the_batches_of_one_process():
    with make(12) as one, make(12, shard=(0, 2)) as left, make(12, shard=(1, 2)) as right:
        whole, parts = read(one, 1), [read(left, 1), read(right, 1)]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert sorted(batch) == sorted(first + second)
        assert len(first) == len(second) == 2


def test_shards_are_equal_in_a_smaller_last_batch():
    with make(11, shard=(0, 2)) as left, make(11, shard=(1, 2)) as right:
        assert [len(batch) for batch in read(left, 0)] == [2, 2, 1]
        assert [len(batch) for batch in read(right, 0)] == [2, 2, 1]
    with make(9, shard=(0, 2)) as left:  # one sample is left over: no share for both
        assert len(left) == 2


@pytest.mark.parametrize(
    ("samples", "replicas", "rest", "edges"),
    [
        (11, 1, "drop", [0, 4, 8, 11]),
        (9, 1, "drop", [0, 4, 8, 9]),
        (11, 2, "drop", [0, 4, 8, 10]),
        (9, 2, "drop", [0, 4, 8]),
        (8, 2, "drop", [0, 4, 8]),
        (9, 2, "whole", [0, 4, 8, 9]),
        (10, 2, "share", [0, 4, 8, 10]),
        (11, 2, "share", [0, 4, 8, 11]),  # 8 and 3: shares of 2 and 1
        (9, 2, "share", [0, 4, 6, 9]),  # the ninth alone would leave one replica without any
        (9, 4, "share", [0, 4, 9]),
        (5, 4, "share", [0, 5]),
    ],
)
def test_where_batches_end_that_replicas_share(samples, replicas, rest, edges):
    assert _edges(samples, 4, replicas, rest) == edges


def test_in_validation_no_sample_is_left_out_or_counted_twice():
    options = {"shuffle": False, "rest": "share"}
    with make(9, shard=(0, 2), **options) as left, make(9, shard=(1, 2), **options) as right:
        parts = [read(left, 0), read(right, 0)]
        assert [left.is_shared(index) for index in range(3)] == [True, True, False]
    assert [[len(batch) for batch in part] for part in parts] == [[2, 1, 2], [2, 1, 1]]
    assert sorted(sum(parts[0] + parts[1], [])) == list(range(9))
    with make(9, shard=(1, 2), shuffle=False, rest="whole") as right:
        assert read(right, 0) == [[1, 3], [5, 7], [8]]


def test_fewer_samples_than_replicas_are_refused():
    for rest in ("drop", "share", "whole"):
        with pytest.raises(DataError, match="3 samples are too few for 4 devices .*fewer devices"):
            make(3, replicas=4, rest=rest)


def test_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(ConfigError, match="3 devices cannot share a batch of 4.*such as 3"):
        make(shard=(0, 3))


def test_too_few_samples_are_refused():
    with pytest.raises(DataError, match="3 samples do not fill.*at most 3"):
        make(3, drop_last=True)
    with pytest.raises(DataError, match="0 samples"):
        make(0)


@pytest.mark.parametrize("workers", [1, 3])
def test_error_of_a_worker_names_the_sample(workers):
    source = Source(Numbered(11, broken={7}), SIZE)
    with pytest.raises(DataError) as caught:
        with make(source=source, workers=workers) as batches:
            read(batches, 0)
    assert "the image is torn: images/007.png" in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_data_error_of_a_split_comes_out_unchanged():
    error = DataError("no such thing", "here", "do that")

    class Refusing(Numbered):
        def __getitem__(self, index):
            raise error

    with pytest.raises(DataError) as caught:
        with make(source=Source(Refusing(5), SIZE)) as batches:
            read(batches, 0)
    assert caught.value is error


def test_file_that_vanishes_between_epochs_is_named(tmp_path):
    for index in range(6):
        Image.new("RGB", SIZE, (index, 0, 0)).save(tmp_path / f"{index}.png")

    class Files(Numbered):
        def __getitem__(self, index):
            with Image.open(self.name(index)) as image:
                return Sample(numpy.asarray(image), index)

        def name(self, index):
            return str(tmp_path / f"{index}.png")

    with pytest.raises(DataError) as caught:
        with make(source=Source(Files(6), SIZE, cache_megabytes=0)) as batches:
            read(batches, 0)
            (tmp_path / "4.png").unlink()
            read(batches, 1)
    assert pathlib.Path(caught.value.path) == tmp_path / "4.png"
    assert "No such file" in caught.value.what


def test_cache_reads_each_sample_once():
    split = Numbered(11)
    with make(source=Source(split, SIZE)) as batches:
        for epoch in range(3):
            assert sorted(sum(read(batches, epoch), [])) == list(range(11))
    assert sorted(split.reads) == list(range(11))


def test_cache_limit_is_respected():
    each = 8 * 8 * 4 + 4  # image, mask and label
    split = Numbered(11)
    source = Source(split, SIZE, cache_megabytes=5.5 * each / 2**20)
    with make(source=source) as batches:
        for epoch in range(2):
            assert sorted(sum(read(batches, epoch), [])) == list(range(11))
    assert source.cached == 5
    assert [split.reads.count(index) for index in range(11)] == [1] * 5 + [2] * 6


def test_source_gives_what_the_split_has_and_leaves_masks_out_on_request():
    images, labels, masks = Source(Numbered(5), SIZE).take([4, 1])
    assert images.dtype == masks.dtype == numpy.uint8
    assert labels.dtype == numpy.int32
    assert labels.tolist() == [4, 1]
    assert images[:, 0, 0, 0].tolist() == masks[:, 3, 3].tolist() == [4, 1]
    assert Source(Numbered(5), SIZE, masks=False).take([4])[2] is None


@pytest.mark.parametrize("how", ["crop", "stretch"])
def test_source_resizes_image_and_mask_alike(how):
    class Wide(Numbered):
        def __getitem__(self, index):
            mask = numpy.zeros((20, 40), dtype=numpy.uint8)
            mask[:, 32:] = 200
            return Sample(numpy.repeat(mask[:, :, None], 3, axis=2), None, mask)

    images, labels, masks = Source(Wide(2), (10, 10), how).take([0])
    assert labels is None
    assert images.shape == (1, 10, 10, 3)
    # Stretched, the right fifth stays a fifth; cropped to the middle, it disappears.
    assert (masks[0, 0] == 200).sum() == {"stretch": 2, "crop": 0}[how]
    assert set(numpy.unique(masks)) <= {0, 200}


def test_split_that_makes_whole_batches_is_asked_for_them_once():
    class Drawing(Numbered):
        taken = []

        def take(self, indices, image_size):
            self.taken.append(indices.tolist())
            return numpy.full((len(indices), *image_size, 3), 9, numpy.uint8), indices, None

    split = Drawing(7)
    source = Source(split, SIZE)
    with make(source=source) as batches:
        first = read(batches, 0)
        assert sorted(sum(first, [])) == list(range(7))
        read(batches, 1)
    assert sorted(map(sorted, split.taken)) == sorted(map(sorted, first))
    assert split.reads == []


def test_split_that_reads_several_at_once_is_asked_to():
    class Together(Numbered):
        asked = []

        def __getitems__(self, indices):
            self.asked.append(indices)
            return [self[index] for index in indices]

    split = Together(7)
    assert Source(split, SIZE).take([3, 5])[1].tolist() == [3, 5]
    assert split.asked == [[3, 5]]
    with pytest.raises(DataError, match=r"torn: images/002.png ... images/006.png"):
        Source(Together(7, broken={3}), SIZE).take([2, 3, 6])


def test_take_of_another_size_falls_back_to_single_samples():
    class Small(Numbered):
        def take(self, indices, image_size):
            return numpy.zeros((len(indices), 4, 4, 3), numpy.uint8), indices, None

    images, labels, _ = Source(Small(5), SIZE).take([3, 2])
    assert images[:, 0, 0, 0].tolist() == labels.tolist() == [3, 2]


def test_threads_end_with_the_block_even_when_it_raises():
    def ours():
        return [thread for thread in threading.enumerate() if "kerasdl-batches" in thread.name]

    before = len(ours())
    with pytest.raises(ZeroDivisionError), make(40, workers=3) as batches:
        batches[0]
        assert len(ours()) > before
        raise ZeroDivisionError
    assert len(ours()) == before
    batches.close()
    with pytest.raises(KerasdlError, match="closed"):
        batches[0]


def test_closing_frees_a_reader_that_waits():
    begun, goes_on = threading.Event(), threading.Event()

    class Slow(Numbered):
        def __getitem__(self, index):
            begun.set()
            goes_on.wait(10)
            return super().__getitem__(index)

    batches = make(source=Source(Slow(40), SIZE), workers=1, shuffle=False)
    caught = []

    def reader():
        with pytest.raises(KerasdlError, match="closed") as error:
            batches[3]  # queued behind batch 0, which another reader holds
        caught.append(error.value)

    first = threading.Thread(target=lambda: batches[0])
    first.start()
    begun.wait(10)
    second = threading.Thread(target=reader)
    second.start()
    while not second_waits(batches):
        pass
    closer = threading.Thread(target=batches.close)
    closer.start()
    second.join(10)
    goes_on.set()
    for thread in (first, closer):
        thread.join(10)
    assert len(caught) == 1 and not first.is_alive() and not closer.is_alive()


def second_waits(batches):
    with batches._lock:
        return 3 not in batches._pending and 4 in batches._pending and 7 in batches._pending


def test_waiting_is_counted_and_set_back():
    class Slow(Numbered):
        def __getitem__(self, index):
            threading.Event().wait(0.02)
            return super().__getitem__(index)

    with make(4, source=Source(Slow(4), SIZE)) as batches:
        batches[0]
        assert batches.waited > 0.02
        batches.set_epoch(1)
        assert batches.waited == 0.0


class Recorder(keras.callbacks.Callback):
    """Reads from the running mean of `2 ** number` which samples each step has seen."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append([])
        self.total = self.count = 0

    def on_train_batch_end(self, batch, logs=None):
        # The share of samples with a number n is 1/N each, so the mean of one-hot rows tells them.
        mean = numpy.array([float(logs[f"seen{number}"]) for number in range(SAMPLES)])
        size = 4 if batch < 2 else 3
        total = numpy.rint(mean * (self.count + size)).astype(int)
        self.epochs[-1].append(numpy.flatnonzero(total - self.total).tolist())
        self.total, self.count = total, self.count + size


SAMPLES = 11


def one_hot(images, labels, masks):
    return images[:, :1, :1, 0].reshape(-1, 1).astype("float32"), numpy.eye(SAMPLES)[labels].astype(
        "float32"
    )


def counting_model():
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(SAMPLES)(inputs))

    def seen(number):
        def measure(y_true, y_pred):
            return y_true[:, number]

        measure.__name__ = f"seen{number}"
        return measure

    metrics = [keras.metrics.MeanMetricWrapper(seen(n), name=f"seen{n}") for n in range(SAMPLES)]
    model.compile(keras.optimizers.SGD(0.0), loss="mean_squared_error", metrics=metrics)
    return model


def epoch_setter(batches):
    return keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: batches.set_epoch(epoch))


@pytest.mark.parametrize("initial_epoch", [0, 2])
def test_keras_trains_on_exactly_these_batches(initial_epoch):
    # The trap: Keras looks at the first batches before the epoch is set and may keep reading ahead.
    recorder = Recorder()
    with Batches(Source(Numbered(SAMPLES), SIZE), one_hot, batch_size=4, seed=3) as batches:
        counting_model().fit(
            batches,
            epochs=4,
            initial_epoch=initial_epoch,
            shuffle=False,
            verbose=0,
            callbacks=[epoch_setter(batches), recorder],
        )
        expected = [
            [sorted(batches.indices(epoch, step).tolist()) for step in range(3)]
            for epoch in range(initial_epoch, 4)
        ]
    assert recorder.epochs == expected


def test_fit_that_meets_a_torn_image_raises_the_data_error():
    source = Source(Numbered(SAMPLES, broken={5}), SIZE)
    with pytest.raises(DataError) as caught:
        with Batches(source, one_hot, batch_size=4, shuffle=False) as batches:
            counting_model().fit(
                batches, shuffle=False, verbose=0, callbacks=[epoch_setter(batches)]
            )
    assert caught.value.path == "images/005.png"


def test_keras_is_the_only_framework_named():
    text = pathlib.Path(batches_module.__file__).read_text()
    assert not {"tensorflow", "jax", "torch"} & {
        line.split()[1].split(".")[0]
        for line in text.splitlines()
        if line.lstrip().startswith(("import ", "from "))
    }


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="only there a data set")
def test_tensorflow_is_fed_the_same_batches_by_a_data_set_that_tunes_nothing():
    with make() as batches:
        dataset = feeding.feed(batches)
        assert dataset.options().autotune.enabled is False  # else its end can take 16 seconds
        # A length that is not known costs one step of the optimizer's counter per epoch.
        assert int(dataset.cardinality()) == len(batches) == 3
        for epoch in (0, 1):
            expected = read(batches, epoch)
            batches.set_epoch(epoch)
            found = list(dataset)
            assert [labels.numpy().tolist() for _, labels in found] == expected
            for images, labels in found:
                assert images.numpy()[:, 0, 0, 0].tolist() == labels.numpy().tolist()


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow" or platform.libc_ver()[0] != "glibc",
    reason="what TensorFlow sets in glibc",
)
def test_memory_freed_while_tensorflow_is_fed_stays_with_the_process():
    program = """
import resource, numpy
from kerasdl import backend
backend.choose("tensorflow")
from kerasdl.backend.distribution import feeding

class Batches:
    def __len__(self):
        return 2
    def __getitem__(self, index):
        return (numpy.zeros((1, 1), "float32"),)

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    numpy.ones(2**21, "uint8")
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

for _ in feeding.feed(Batches()):
    faults()
print(faults())
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC"))}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    # A block of 2 MiB has 512 pages of 4 KiB, and each that the system gives is a fault.
    assert int(done.stdout) < 50, done.stderr


@pytest.mark.skipif(keras.config.backend() == "tensorflow", reason="there a data set")
def test_the_other_backends_are_fed_the_batches_themselves():
    with make() as batches:
        assert feeding.feed(batches) is batches
