"""The set for `mutation.py`: sampled files with their tests, the audit, and equivalents."""

import typing


class Sampled(typing.NamedTuple):
    """Files below the package, number of mutations drawn of each, tests that should notice."""

    paths: str
    count: int
    tests: str


SAMPLED = (
    # metrics
    Sampled("metrics/classification.py", 5, "metrics_classification scorers"),
    Sampled("metrics/confusion.py", 5, "metrics_confusion"),
    Sampled("metrics/boundary.py", 3, "boundary"),
    Sampled("metrics/images.py", 6, "image_scores"),
    Sampled("metrics/psnr.py", 2, "metrics_images"),
    Sampled("metrics/ssim.py metrics/color.py", 4, "metrics_images scorers"),
    Sampled("metrics/base.py", 3, "metrics_base"),
    Sampled("metrics/colors/bins.py metrics/colors/lab.py", 4, "colors losses_color scorers"),
    Sampled("metrics/colors/targets.py", 2, "colorization scorers"),
    # losses
    Sampled("losses/crossentropy.py losses/dice.py", 4, "losses"),
    Sampled("losses/focal.py losses/weights.py", 3, "losses"),
    Sampled("losses/labels.py", 3, "losses"),
    Sampled("losses/color.py", 4, "losses_color"),
    # models
    Sampled("models/blocks.py models/resnet.py", 4, "reference_models models"),
    Sampled("models/fcn.py", 3, "reference_models models"),
    Sampled("models/u_net.py", 5, "reference_models models"),
    # tasks
    Sampled("tasks/classification.py tasks/segmentation.py", 4, "scorers"),
    Sampled("tasks/colorization.py", 4, "scorers colorization"),
    Sampled("tasks/scoring.py", 3, "scorers"),
    # data transforms
    Sampled("data/pipeline/transforms.py", 6, "transforms"),
    Sampled("data/pipeline/geometry.py", 5, "transforms"),
    Sampled("data/pipeline/batches.py", 6, "batches"),
    Sampled("data/pipeline/source.py", 4, "batches"),
    # masks
    Sampled("data/folder/masks.py", 5, "masks layouts_masks"),
    Sampled("data/folder/mask_scan.py", 5, "masks data_check real_world real_world_edges"),
    # training assembly
    Sampled("engine/step.py", 2, "recipe_in_training fast_pieces"),
    Sampled("engine/optimizers.py", 3, "optimizers fast_pieces"),
    Sampled("engine/schedules.py engine/averaging.py", 4, "fast_pieces recipe_in_training"),
    Sampled("engine/stages.py", 3, "recipes recipe_in_training"),
    Sampled("engine/fitting.py engine/evaluation.py", 5, "recipe_in_training fast_pieces"),
    # resume
    Sampled("runs/checkpoint.py", 6, "checkpoint"),
    Sampled("runs/restore.py", 6, "checkpoint"),
    # statistics
    Sampled("report/paired.py", 6, "paired"),
    Sampled("report/paired_differences.py", 4, "paired image_scores"),
)


# Tests that train or build many networks: run with --slow, such as for survivors.
SLOW = (
    *("every_network", "any_size_comes_back", "model_files_of_all", "outputs_stay_float32"),
    *("equals_an_independent_implementation", "same_for_every_target", "artifacts_of_a_run"),
    *("keeps_the_lightness", "saturation_scales", "saturation_on_the_command", "card_s_python"),
    *("network_learns_which", "interrupted_equals", "has_the_averaged_weights", "more_epochs_are"),
    *("the_published_number_of", "output_sizes_of_the_paper", "he_initialization"),
    *("is_of_the_averaged_weights", "damaged_average", "keras_trains_on", "torn_image", "is_fed"),
)


class Named(typing.NamedTuple):
    """A mutation of the audit: file (or pattern of files), and pairs of text before and after."""

    title: str
    path: str
    edits: tuple[tuple[str, str], ...]


def _named(title, path, *texts):
    return Named(title, path, tuple(zip(texts[::2], texts[1::2], strict=True)))


STEP, FITTING, EVALUATION = "engine/step.py", "engine/fitting.py", "engine/evaluation.py"
MEASURES, TASKS = "metrics/classification.py", "tasks/**/*.py"
AUDIT = (
    _named("momentum 0", STEP, "config.momentum,", "0.0,"),
    _named("weight decay 0", STEP, "config.weight_decay,", "0.0,"),
    _named("no Nesterov", STEP, "nesterov=config.nesterov", "nesterov=False"),
    _named(
        "decay of normalization",
        STEP,
        "decay_norm_and_bias=config.decay_norm_and_bias",
        "decay_norm_and_bias=True",
    ),
    _named(
        "no augmentation",
        FITTING,
        "datasets.augmentation(config, dataset.ignore_labels),",
        "None,",
    ),
    _named(
        "no class weights",
        FITTING,
        "dataset, class_weights, config.label_smoothing)",
        "dataset, None, config.label_smoothing)",
    ),
    _named("plateau factor 0.5", FITTING, "factor=config.plateau_factor", "factor=0.5"),
    _named(
        "patience + 1",
        FITTING,
        "patience=config.plateau_patience",
        "patience=config.plateau_patience + 1",
    ),
    _named("min_delta 1e-4", FITTING, "min_delta=0.0", "min_delta=1e-4"),
    _named(
        "ignored labels in automatic class weights",
        EVALUATION,
        "counts[list(dataset.ignore_labels)] = 0",
        "pass",
    ),
    _named(
        "smoothing dropped in training",
        FITTING,
        "class_weights, config.label_smoothing)",
        "class_weights)",
    ),
    _named(
        "evaluation loss smoothed",
        EVALUATION,
        "loss_of(task, config, dataset))",
        "loss_of(task, config, dataset, None, config.label_smoothing))",
    ),
    _named(
        "validation augmented",
        FITTING,
        "task.prepare,\n        None,\n",
        "task.prepare,\n        datasets.augmentation(config, dataset.ignore_labels),\n",
    ),
    _named(
        "best kept in all stages",
        FITTING,
        "keep_best=stage.end == config.epochs",
        "keep_best=True",
    ),
    _named(
        "calibration with 10 bins",
        MEASURES,
        "def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 15)",
        "def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10)",
    ),
    _named(
        "gaps summed before the absolute value",
        MEASURES,
        'abs(each["accuracy"] - each["confidence"])',
        '(each["accuracy"] - each["confidence"])',
        "return gaps /",
        "return abs(gaps) /",
    ),
    _named(
        "bins closed at the lower end",
        MEASURES,
        "numpy.ceil(confidence * bins).astype(int) - 1",
        "numpy.floor(confidence * bins).astype(int)",
    ),
    _named(
        "ties of top-k",
        MEASURES,
        'numpy.argsort(-probabilities, axis=1, kind="stable")',
        'numpy.argsort(probabilities, axis=1, kind="stable")[:, ::-1]',
    ),
    _named(
        "confidence and accuracy of the bins swapped",
        MEASURES,
        "for values in (confidence, right)",
        "for values in (right, confidence)",
    ),
    _named("bins shifted", MEASURES, '"low": number / bins', '"low": (number + 1) / bins'),
    _named(
        "matrix transposed",
        "tasks/classification.py",
        ".reshape(classes, classes)",
        ".reshape(classes, classes).T",
    ),
    _named(
        "baseline of the rarest class",
        "tasks/classification.py",
        "counts[most_frequent_class(self.dataset, counts)]",
        "counts.min()",
    ),
    _named(
        "softmax twice",
        "tasks/classification.py",
        "predicted = probabilities(logits)\n        classes",
        "predicted = probabilities(probabilities(logits))\n        classes",
    ),
    _named(
        "scorer without ignored label",
        "tasks/segmentation.py",
        "logits[one], classes, ignore)",
        "logits[one], classes)",
    ),
    _named(
        "baseline's truth along the wrong axis",
        "tasks/segmentation.py",
        "truth = matrix.sum(axis=1)",
        "truth = matrix.sum(axis=0)",
    ),
    _named(
        "baseline in a row",
        "tasks/segmentation.py",
        "constant[:, most_frequent_class(self.dataset, truth, masks=True)] = truth",
        "constant[most_frequent_class(self.dataset, truth, masks=True)] = truth",
    ),
    _named(
        "ignored pixels in the sample score",
        "tasks/segmentation.py",
        "valid = ~numpy.isin(masks, dataset.ignore_labels)",
        "valid = numpy.ones(masks.shape, bool)",
    ),
    _named(
        "red and blue of the luma swapped",
        "metrics/colors/lab.py",
        "[0.299, 0.587, 0.114]",
        "[0.114, 0.587, 0.299]",
    ),
    _named(
        "gray baseline is the mean of RGB",
        "tasks/colorization.py",
        "numpy.repeat(gray(truth), 3, axis=-1)",
        "numpy.repeat(truth.mean(axis=-1, keepdims=True), 3, axis=-1)",
    ),
    _named(
        "gamut after clipping",
        "tasks/colorization.py",
        "self.outside.append(out_of_gamut(prediction))",
        "self.outside.append(out_of_gamut(prediction.clip(0, 1)))",
    ),
    _named(
        "argmax before upsampling",
        TASKS,
        'logits = upsample(numpy.asarray(logits, dtype="float32"), pixels.shape[:2])',
        "logits = upsample(numpy.eye(logits.shape[-1])[numpy.asarray(logits).argmax(-1)], "
        "pixels.shape[:2])",
    ),
    _named("skip is the decoder", "models/u_net.py", "([encoder[level], x])", "([x, x])"),
    _named(
        "second ReLU gone",
        "models/u_net.py",
        'return convolution_norm(x, filters, 3, name=f"{name}_2")',
        'return convolution_norm(x, filters, 3, name=f"{name}_2", relu=False)',
    ),
    _named(
        "one convolution at the bottom",
        "models/u_net.py",
        'x = _two_convolutions(x, filters * 2**depth, "bottom")',
        'x = convolution_norm(x, filters * 2**depth, 3, name="bottom_1")',
    ),
    _named("finer scores unused", "models/fcn.py", "([scores, finer])", "([scores, scores])"),
    _named(
        "no batch norm on scores",
        "models/fcn.py",
        'return keras.layers.BatchNormalization(**BATCH_NORM, name=f"{name}_norm")(x)',
        "return x",
    ),
    _named("batch-norm momentum 0.99", "models/blocks.py", '"momentum": 0.9,', '"momentum": 0.99,'),
    _named(
        'stage convolutions padded "same"',
        "models/blocks.py",
        "if strides > 1 and kernel_size > 1:",
        "if strides > 1 and kernel_size > 3:",
    ),
    _named(
        'stem pool padded "same"',
        "models/resnet.py",
        'x = keras.layers.ZeroPadding2D(1, name="stem_pool_padding")(x)',
        "pass",
        "keras.layers.MaxPooling2D(3, strides=2,",
        'keras.layers.MaxPooling2D(3, strides=2, padding="same",',
    ),
    _named(
        "padding on one side",
        "models/blocks.py",
        "(math.floor(missing / 2), math.ceil(missing / 2))",
        "(0, missing)",
    ),
    _named(
        "last batch of one sample dropped",
        "data/pipeline/batches.py",
        'if rest == "drop" and left >= replicas:',
        'if rest == "drop" and left > replicas:',
    ),
    _named(
        "a tie becomes the best",
        "runs/restore.py",
        'return value < best["value"] if',
        'return value <= best["value"] if',
    ),
    _named(
        "repair with the unaveraged model",
        "runs/restore.py",
        'best["epoch"]) / names.STATE_AVERAGE',
        'best["epoch"]) / names.STATE_MODEL',
    ),
    _named(
        "negative labels counted",
        "metrics/confusion.py",
        "ops.logical_and(truth >= 0, truth < classes)",
        "truth < classes",
    ),
    _named(
        "negative labels accepted",
        "losses/labels.py",
        "keras.ops.logical_and(labels >= 0, labels < classes)",
        "labels < classes",
    ),
    _named(
        "duplicate seeds kept",
        "report/paired_differences.py",
        "if seed is not None and seeds.count(seed) == 1",
        "if seed is not None",
    ),
    _named("gray threshold 0.1", "metrics/color.py", "GRAY = 0.01", "GRAY = 0.1"),
    _named(
        "Lab unclipped",
        "metrics/color.py",
        "truth, prediction = _clipped(truth), _clipped(prediction)",
        "truth, prediction = numpy.asarray(truth), numpy.asarray(prediction)",
    ),
    _named(
        "erased area doubled",
        "data/pipeline/transforms.py",
        "area = (0.02 + 0.31 * area) * height * width",
        "area = 2 * (0.02 + 0.31 * area) * height * width",
    ),
)
