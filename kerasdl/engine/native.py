"""Scores of what `predict` delivers, at the size of the images as they are stored."""

import math

from kerasdl.core.errors import DataError
from kerasdl.engine.prediction import networks
from kerasdl.engine.prediction.predictor import Predictor
from kerasdl.tasks.scoring import spread

SIZED = 20  # images whose size is looked at
CHUNK_PIXELS = 2**24  # of images held at once
MOST_PIXELS = 2**22  # of an image that is scored without being asked for


def median_size(split):
    """Median height and width of some images of a split."""
    heights, widths = zip(*_sizes(split), strict=True)
    return [sorted(sides)[len(sides) // 2] for sides in (heights, widths)]


def wanted(task, dataset, config, split):
    """Whether native scores are worth their time: they say more, and the images are not huge."""
    if task.native is None:
        return False
    sizes = _sizes(dataset.splits[split])
    if max(map(math.prod, sizes)) > MOST_PIXELS:
        return False
    return not task.masks or any(size != tuple(config.image_size) for size in sizes)


def scores(model, task, dataset, config, split):
    """Scores of the predictions for a split.

    Args:
        model: A model of the task.
        task: A `kerasdl.tasks.Task` with `native`.
        dataset: Its data.
        config: Configuration of the run.
        split: Name of the split.

    Returns:
        Scores, those of the baseline, and what each image adds to the scores.

    Raises:
        DataError: An image cannot be predicted.
    """
    members = dataset.splits[split]
    known = {
        "task": task.name,
        "class_names": dataset.class_names,
        "palette": dataset.palette,
        "outputs": model.output_shape[-1],
        "image_size": config.image_size,
    }
    predictor = Predictor(*networks.of_run(model, config, known, median_size(members)))
    scorer = task.native(dataset)
    for samples in _chunks(members):
        found = list(predictor.run([sample.image for sample in samples]))
        for each in found:
            if each.error is not None:
                raise DataError(each.error)
        scorer.update(samples, found)
    return scorer.result()


def _sizes(split):
    return [split[index].image.shape[:2] for index in spread(len(split), SIZED)]


def _chunks(split):
    """Lists of samples of a split, in order."""
    chunk, pixels = [], 0
    for index in range(len(split)):
        sample = split[index]
        area = math.prod(sample.image.shape[:2])
        if chunk and pixels + area > CHUNK_PIXELS:
            yield chunk
            chunk, pixels = [], 0
        chunk.append(sample)
        pixels += area
    if chunk:
        yield chunk
