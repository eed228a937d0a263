"""The work that `growth.py` measures: one function (size, folder) -> {measure: value} per axis.

Values are seconds of the processor, or bytes where the name of the measure says so.
"""

import json
import shutil
import statistics
import time

STEPS = 3  # after one to warm up
COMMITS = 5


def spend(function, *arguments):
    """Seconds of the processor that a call takes, and what it returns."""
    began = time.process_time()
    result = function(*arguments)
    return time.process_time() - began, result


def files(count, work):
    """Images in 100 class folders: listing, quick check, memory of the list, first batch."""
    return listed("classification", count, work, ("list", "load", "check", "first_batch"))


def pairs(count, work):
    """The same for images with masks; a file each."""
    return listed("segmentation", count // 2, work, ("list", "load", "check", "first_batch"))


def drawn(count, work):
    """Images whose names end as those of masks, without masks, for colorization."""

    def rename(data):
        for path in sorted(data.rglob("*.png")):
            path.rename(path.with_stem(f"{path.stem}_mask"))

    return listed("colorization", count, work, ("list", "load", "check"), change=rename)


def one_class(count, work):
    """Masks that all hold one class: the quick check looks for a second."""
    return listed("segmentation", count // 2, work, ("check",), classes=1)


def listed(task, count, work, measures, classes=2, change=None):
    """Measures of `data_scaling`, after a small set by which everything is imported."""
    import data_scaling

    for folder, number in (("small", 200), ("whole", count)):
        data = data_scaling.make(work / folder, number, task == "segmentation", classes)
        if change:
            change(data)
        found = data_scaling.measure(data, task, time.process_time)
    return {key: found[key] for key in measures} | {"memory": max(found["grown_bytes"], 1)}


def step(batch=2, side=64, classes=10, filters=8, model="unet"):
    """A training step with metrics, a batch from the pipeline, and memory."""
    from kerasdl import backend

    backend.choose("torch")
    import numpy

    from kerasdl import models, tasks
    from kerasdl.data.pipeline.transforms import Augmentation, uniforms
    from kerasdl.engine import evaluation
    from kerasdl.engine import step as steps
    from kerasdl.runs.config import Config
    from kerasdl.tasks import TASKS

    config = Config(task="segmentation", model=model, batch_size=batch, image_size=(side, side))
    dataset = Classes(classes)
    task = tasks.of(config)
    random = numpy.random.default_rng(0)
    images = random.integers(0, 256, (batch, side, side, 3), dtype="uint8")
    masks = random.integers(0, classes, (batch, side, side), dtype="uint8")
    augment = Augmentation(TASKS["segmentation"].augmentation, {}, masks=True)
    table = uniforms(0, 0, numpy.arange(batch), augment.columns)
    options = {"filters": filters} if model == "unet" else {}
    network = models.build(model, (side, side, 3), classes, **options)
    steps.assemble(
        network, config, evaluation.loss_of(task, config, dataset), task.metrics(dataset)
    )
    steps.tune(network, config)
    x, y = task.prepare(images, None, masks)
    network.train_on_batch(x, y)
    found = {"step": [], "batch": [], "predict": []}
    for _ in range(STEPS):
        found["batch"].append(
            spend(lambda: task.prepare(images, None, augment.apply(images, masks, table)[1]))[0]
        )
        found["step"].append(spend(network.train_on_batch, x, y)[0])
        found["predict"].append(spend(network.predict_on_batch, x)[0])
    return {name: statistics.median(each) for name, each in found.items()} | {"memory": peak()}


class Classes:
    """What losses and metrics ask of a data set."""

    def __init__(self, classes):
        self.class_names = tuple(f"class {each}" for each in range(classes))
        self.ignore_labels = ()
        self.palette = ((0, 0, 0),) * classes


def batch(count, work):
    return step(batch=count)


def image_side(side, work):
    return step(batch=1, side=side, filters=4)


def classes(count, work):
    return step(classes=count)


def classes_fcn(count, work):
    return step(classes=count, model="fcn8")


def filters(count, work):
    return step(filters=count)


def runs(count, work):
    """Pages, tables and lists of runs that are copies of one small run with other settings."""
    from kerasdl import backend

    backend.choose("torch")
    from kerasdl.report import document as documents
    from kerasdl.report import grouping, html, runs
    from kerasdl.runs import overview
    from kerasdl.runs.run import find
    from kerasdl.tools.sweep import folder as sweepfolder
    from kerasdl.tools.sweep import plan as sweeps

    plan, first = copies(count, work)
    found = {"list": spend(overview.rows, plan.out)[0]}
    found["find"] = spend(find, [plan.out])[0]
    rates = [f"learning_rate={','.join(f'{0.001 * (n + 1):g}' for n in range(count // 2))}"]
    found["plan"] = spend(sweeps.plan, first, rates, 2, work / "planned")[0]
    read = [{**documents.read(path), "run": str(path)} for _, _, path in plan.runs]
    found["read"] = spend(lambda: [documents.read(path) for _, _, path in plan.runs])[0]
    labeled = runs.with_distinct_labels(read)
    found["tables"] = spend(grouping.printed, labeled)[0]
    page = work / "page.html"
    found["page"] = spend(html.write_group_report, page, read, "runs", False)[0]
    finished = [(cell, path) for cell, _, path in plan.runs]
    found["sweep"] = spend(sweepfolder.publish, plan, finished, [])[0]
    return found | {"page_bytes": page.stat().st_size, "memory": peak()}


def copies(count, work):
    """A plan of a sweep whose run folders are copies of one trained run; its configuration."""
    import kerasdl
    from kerasdl.core import files as atomic
    from kerasdl.runs import config as configuration
    from kerasdl.runs import names
    from kerasdl.tools.sweep import plan as sweeps

    tiny = {"task": "segmentation", "model": "unet", "model_args": {"filters": 2, "depth": 1},
            "image_size": [16, 16], "epochs": 2, "batch_size": 8, "train_size": 16,
            "validation_size": 8, "test_size": 8}  # fmt: skip
    source = work / "source"
    kerasdl.train(configuration.Config(**tiny), source, quiet=True)
    shutil.rmtree(source / names.CHECKPOINTS)
    metrics = json.loads((source / names.METRICS).read_text())
    rates = [f"learning_rate={','.join(f'{0.001 * (n + 1):g}' for n in range(count // 2))}"]
    plan = sweeps.plan(tiny, rates, 2, work / "sweep")
    for number, (_, config, path) in enumerate(plan.runs):
        shutil.copytree(source, path)
        atomic.write_text(path / names.CONFIG, configuration.dump(config))
        scores = {name: value and value * (1 + number % 7 / 100)
                  for name, value in metrics["scores"].items()}  # fmt: skip
        (path / names.METRICS).write_text(json.dumps({**metrics, "scores": scores}))
    return plan, tiny


def epochs(count, work):
    """Commit, resume and page of a run that already has so many epochs."""
    import kerasdl
    from kerasdl import backend

    backend.choose("torch")
    from kerasdl import models
    from kerasdl.engine import optimizers
    from kerasdl.report import document as documents
    from kerasdl.report import html
    from kerasdl.runs import checkpoint, names, runfolder
    from kerasdl.runs import config as configuration

    model = models.build("unet", (16, 16, 3), 4, filters=2, depth=1)
    model.compile(optimizers.SGD(0.1, 0.9, 1e-5), "mse")
    values = {name: 0.123456789 for name in ("loss", "val_loss", "val_mean_iou", "learning_rate")}
    with runfolder.acquire(work / "run", configuration.Config()) as folder:
        state = checkpoint.RunState(folder, seed=0)
        state.set_model(model)
        state.set_params({"epochs": 2 * count})
        state.restore(model)
        state.on_train_begin()
        state.rows = [{"epoch": n + 1, "seconds": 1.0, **values} for n in range(count)]
        spent = []
        for number in range(count, count + COMMITS):
            state.on_epoch_begin(number)
            spent.append(spend(state.on_epoch_end, number, dict(values))[0])
        found = {"commit": statistics.median(spent)}
        size = (runfolder.committed(folder.checkpoints)[0] / names.STATE).stat().st_size
        resumed = checkpoint.RunState(folder, seed=0)
        found["resume"] = spend(resumed.restore, model)[0]
    tiny = configuration.Config(task="segmentation", model="unet",
                                model_args={"filters": 2, "depth": 1}, image_size=(16, 16),
                                epochs=1, batch_size=8, train_size=8, validation_size=8,
                                test_size=8)  # fmt: skip
    kerasdl.train(tiny, work / "scored", quiet=True)
    document = {**documents.read(work / "scored"), "history": state.rows}
    found["page"] = spend(html.write_run_report, work / "page.html", document)[0]
    return found | {"state_bytes": size, "memory": peak()}


def peak():
    from kerasdl.backend import memory

    return memory.peak_bytes()
