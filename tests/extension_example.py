"""Your own model, loss, metric and data source; shown in docs/extending.md."""

import numpy

import kerasdl
from kerasdl.data.base import Dataset, Sample


def tiny(input_shape, outputs, filters=8):
    """Two convolutions at full size."""
    import keras

    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name="hidden")(inputs)
    logits = keras.layers.Conv2D(outputs, 1, dtype="float32", name="logits")(x)
    return keras.Model(inputs, logits, name="tiny")


def smoothed(ignore_labels=()):
    """Cross-entropy with 10 % of the target spread over all classes."""
    return kerasdl.losses.SparseCrossentropy(ignore_labels, label_smoothing=0.1)


def true_probability(masks, logits):
    """Probability of the true class, mean over the pixels of each image, shape (B,)."""
    from keras import ops

    truth = ops.one_hot(masks, logits.shape[-1])
    return ops.mean(ops.sum(truth * ops.softmax(logits), axis=-1), axis=(1, 2))


class Stripes:
    """Images that are dark on the left and light on the right, and their masks."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        mask = numpy.zeros((16, 16), "uint8")
        mask[:, 2 + index :] = 1
        return Sample(numpy.repeat(40 + 160 * mask[..., None], 3, axis=-1).astype("uint8"), 0, mask)

    def name(self, index):
        return f"stripe {index}"


def stripes(location, annotation, settings):
    """The data set "stripes"; `location` is what the user wrote, `annotation` what is needed."""
    splits = {"train": Stripes(), "validation": Stripes(), "test": Stripes()}
    return Dataset("stripes", splits, ("dark", "light"), ((0, 0, 0), (255, 255, 255)))


kerasdl.register(
    kerasdl.ModelSpec(
        "tiny", "Tiny", tiny, tasks=("segmentation",), stride=1,
        options=(kerasdl.Option("filters", "1 or more", "Filters of the hidden layer."),),
    )
)  # fmt: skip
kerasdl.register(kerasdl.LossSpec("smoothed", "smoothed", ("mask",), smoothed, ("ignore_labels",)))
kerasdl.register(
    kerasdl.MetricSpec(
        "true_probability", "true probability", "mean probability of the true class over pixels",
        unit="%", factor=100.0, digits=1, tasks=("segmentation",), per_image=true_probability,
    )
)  # fmt: skip
kerasdl.register(
    kerasdl.SourceSpec(
        "stripes", "stripes", "stripes", lambda location: location.text == "stripes", stripes,
        annotations=("mask", "none"), can_fail=False,
    )
)  # fmt: skip
