"""Combinations of values: what keys mean, and the configurations that result."""

import dataclasses
import pathlib

from kerasdl import backend, models, tasks
from kerasdl.core.errors import ConfigError, suggest
from kerasdl.runs import config as configuration
from kerasdl.runs import run

# What a search cannot vary, and why or what to use instead.
RESERVED = {
    "task": "all runs have the task of the command",
    "seed": "use --seeds",
    "backend": "one process, one backend: use --backend",
    "time_budget": "the runs are compared, so set epochs",
    "workers": "it does not affect results",
    "cache_megabytes": "it does not affect results",
}
# Keys whose values depend on each other: loss "chroma" is for target "ab" only.
TOGETHER = {"target", "loss", "model"}


def full_keys(noun, names, base, wanted, reserved):
    """{key as written: key of the configuration}; see `full_key`.

    Args:
        noun: What names the keys, for the message.
        names: The keys as written.
        base, wanted, reserved: As for `full_key`.
    """
    keys = {key: full_key(key, base, wanted, reserved) for key in names}
    if len(set(keys.values())) < len(keys):
        raise ConfigError(f"the {noun} names a key twice", fix=f"keys: {', '.join(keys)}")
    return keys


def folder(command, base, keys, out):
    """The folder of several runs; saved_models/<command>-<task>-<keys> if `out` is None."""
    short = "-".join(key.rpartition(".")[2] for key in keys)
    out = run.ROOT / f"{command}-{base.task}-{short}" if out is None else pathlib.Path(out)
    if out.exists() and not out.is_dir():
        raise ConfigError("the output is a file", out, "another --out")
    return out


def full_key(key, base, wanted, reserved):
    """The key of the configuration meant by a key as written: "skips" is "model_args.skips".

    Args:
        key: As written.
        base: The `Config` of the common values.
        wanted: {key as written: values}; options of all models among them are known.
        reserved: Keys that cannot vary, with what to do instead.
    """
    if key in reserved:
        raise ConfigError(f"'{key}' cannot vary", fix=reserved[key])
    fields = [field.name for field in dataclasses.fields(configuration.Config)]
    tables = ("model_args", "augment_args")
    if key in fields and key not in tables:
        return key
    table, dot, inner = key.partition(".")
    if dot and table == "augment_args":
        return key
    options = list(
        dict.fromkeys(
            option
            for name in wanted.get("model", [base.model])
            for option in models.option_names(name)
        )
    )
    name = inner if dot and table == "model_args" else key
    if name in options:
        return f"model_args.{name}"
    known = [name for name in fields if name not in (*tables, *reserved)]
    raise suggest("key", name, [*options, *known])


def combine(base, common, keys, settings):
    """The settings that apply to their model, and the configuration values that result.

    Args:
        base: The `Config` of the common values.
        common: Configuration keys and values, as set by the user.
        keys: {key as written: key of the configuration}.
        settings: {key as written: value}; an option that the model does not take is left out.
    """
    model = settings.get("model", base.model)
    if "model" in settings:
        common = {**common, "model_args": _taken(model, base.model_args)}
    settings = {key: value for key, value in settings.items() if applies(keys[key], model)}
    values = {key: dict(item) if isinstance(item, dict) else item for key, item in common.items()}
    for key, value in settings.items():
        table, dot, inner = keys[key].partition(".")
        if dot:
            values.setdefault(table, {})[inner] = value
        else:
            values[table] = value
    return settings, values


def applies(key, model):
    """Whether a key of the configuration is other than an option that the model does not take."""
    table, _, inner = key.partition(".")
    return table != "model_args" or inner in models.option_names(model)


def settler(base):
    """Function Config -> Config that applies the recipe `auto` to the data, which are read once."""
    if base.recipe != "auto":
        return lambda config: config
    from kerasdl.engine import datasets, planning

    dataset, engine = datasets.load(base), backend.choose("auto")
    return lambda config: planning.settle(config, dataset, engine)[0]


def _taken(model, options):
    """The options of the base configuration that a model takes."""
    known = models.option_names(model)
    return {key: value for key, value in options.items() if key in known}


def label(settings, values):
    """Display name of a combination, such as "skips all but 1, learning_rate 0.1"."""
    from kerasdl.report import runs

    parts = []
    for key, value in settings.items():
        name = key.rpartition(".")[2]
        if name == "skips" and isinstance(value, list):
            text = models.skip_levels(value, values["model_args"].get("depth", 4))
        elif name == "model":
            parts.append(models.label(value))
            continue
        else:
            text = runs.text(value)
        parts.append(f"{name} {text}")
    return ", ".join(parts)


def check(configs):
    """Raises KerasdlError for a configuration that would certainly fail, before any training.

    Every model is built once, because a typo found after five hours is costly.
    """
    from kerasdl import data
    from kerasdl.engine import datasets, optimizers, transfer

    built = []
    for config in configs:
        task = tasks.of(config)
        data.require(config.data)
        transfer.require(config.weights)
        # The ignored mask values may be known from the data only.
        datasets.augmentation(config, config.ignore_labels or (255,))
        optimizers.build(config)
        model = (config.model, config.model_args, config.image_size)
        if model not in built:
            built.append(model)
            size = (*config.image_size, task.channels)
            models.build(config.model, size, 2, **config.model_args)
