"""The settings and the duration of a training on this machine, without training."""

import dataclasses

import rich.console
import rich.markup
import rich.table
import tomli_w

from kerasdl import backend
from kerasdl.backend import machine, precision
from kerasdl.runs import auto
from kerasdl.runs.config import Config, as_dict, changed
from kerasdl.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class Plan:
    """A configuration with its reasons.

    Attributes:
        config: The complete configuration.
        given: Keys that the user set.
        facts: Input of the rules.
        decisions: Output of the rules.
        measured: See `kerasdl.engine.planning.measure`.
        seconds: Time of the whole training.
    """

    config: Config
    given: frozenset[str]
    facts: auto.Facts
    decisions: list[auto.Decision]
    measured: auto.Times
    seconds: float


def plan(config: Config) -> Plan:
    """Plans a training. Raises DataError if the data cannot be used."""
    engine = backend.choose(config.backend, config.deterministic)
    from kerasdl.engine import datasets, planning

    dataset, given = datasets.load(config), config.given
    config = changed(config, precision=precision.resolve(config.precision, engine))
    annotation = TASKS[config.task].annotation
    facts = planning.facts_of(dataset, annotation, engine)
    settled, decisions = planning.settle(config, dataset, engine)
    measured = planning.measure(settled, dataset)
    steps = auto.steps_per_epoch(as_dict(settled), facts.images)
    seconds = measured.seconds(settled.epochs, steps)
    return Plan(settled, given, facts, decisions, measured, seconds)


def toml(found: Plan) -> str:
    """Configuration file: what was set and what was decided."""
    # All keys of the recipe, so that nothing is decided anew where the file is used.
    keys = {"task", "model", "recipe"} | found.given | set(auto.KEYS)
    return tomli_w.dumps(
        {key: value for key, value in as_dict(found.config).items() if key in keys}
    )


def document(found: Plan) -> dict:
    """The plan as plain JSON types."""
    return {
        "facts": dataclasses.asdict(found.facts),
        "decisions": [dataclasses.asdict(each) for each in found.decisions],
        "measured": dataclasses.asdict(found.measured),
        "seconds": found.seconds,
        "config": as_dict(found.config),
    }


def _facts(found: Plan) -> list[str]:
    """What the decisions depend on: the data and the machine."""
    facts, annotation = found.facts, TASKS[found.config.task].annotation
    data = f"{facts.images} training images, median size {facts.height}x{facts.width}"
    if facts.classes:
        counted = "pixels" if annotation == "mask" else "images"
        data += f", {facts.classes} classes"
        if facts.imbalance > 1:
            data += f", the most frequent with {facts.imbalance:.3g} times the {counted}"
            data += " of the rarest"
    cores = machine.num_cores()
    computes = "a GPU" if facts.gpu else f"{cores} processor core{'s' * (cores > 1)}, no GPU"
    return [data, computes]


def show(found: Plan) -> None:
    """Prints facts, decisions with reasons, and the time and memory of a training."""
    from kerasdl.report import names

    console = rich.console.Console()
    for line in _facts(found):
        console.print(line, highlight=False)
    table = rich.table.Table(title_justify="left")
    for heading in ("key", "value", "reason"):
        table.add_column(heading, overflow="fold")
    for each in found.decisions:
        value = "x".join(map(str, each.value)) if each.key == "image_size" else str(each.value)
        table.add_row(each.key, value, rich.markup.escape(each.reason))
    if found.decisions:
        console.print(table)
    else:
        console.print(f"recipe {found.config.recipe}: settings as `kerasdl config show` lists them")
    measured, epochs = found.measured, found.config.epochs
    rest = measured.start + measured.end
    console.print(
        f"{names.duration((found.seconds - rest) / epochs)} per epoch with validation, "
        f"{names.duration(found.seconds)} for {epochs} epochs and the scores, "
        f"{measured.memory / 2**30:.1f} GiB, {found.config.precision}",
        highlight=False,
    )
