"""The artifacts of a search besides its runs: tune.json, best.toml, report.html."""

import warnings

import optuna
from optuna.trial import TrialState

from kerasdl import data
from kerasdl.core import files
from kerasdl.core.errors import KerasdlError
from kerasdl.report import names, search_page
from kerasdl.runs import config as configuration
from kerasdl.runs import names as run_names
from kerasdl.runs.run import Run
from kerasdl.tools.tune import search

BEST = "best.toml"
DOCUMENT = "tune.json"
STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
LEAST_FINISHED = 4  # trials for which importance is worth showing


def publish(plan, study, command):
    """Writes tune.json, best.toml and report.html into the folder of the search.

    Returns:
        The document of tune.json; see `kerasdl.report.search_page`.

    Raises:
        WriteError: A file cannot be written.
    """
    best = study.best_trial
    run = Run(search.folder(plan, best.user_attrs.get("same_as", best.number)))
    defaults = configuration.Config(**{"task": plan.base.task, "model": run.config.model})
    document = {
        "task": plan.base.task,
        "data": data.short_name(run.config.data),
        "command": command,
        "objective": plan.objective,
        "seed": plan.base.seed,
        "space": {key: each.document for key, each in plan.space.items()},
        "keys": list(plan.keys.values()),
        "best": best.number,
        "importance": _importance(study),
        "trials": [
            _trial(plan, each)
            for each in study.get_trials(deepcopy=False)
            if each.state != TrialState.WAITING and "skipped" not in each.user_attrs
        ],
        "configuration": configuration.as_dict(run.config),
        "defaults": configuration.as_dict(defaults),
        "environment": run.environment,
    }
    files.write_json(plan.out / DOCUMENT, document)
    value = names.number(plan.objective, best.value, unit=True)
    head = f"# Trial {best.number} of {len(document['trials'])}: {plan.objective} {value}\n"
    files.write_text(plan.out / BEST, f"{head}# {command}\n{configuration.dump(run.config)}")
    search_page.write(plan.out / run_names.REPORT, document)
    return document


def _trial(plan, trial):
    settings = {key: plan.space[key].value(value) for key, value in trial.params.items()}
    path = search.folder(plan, trial.user_attrs.get("same_as", trial.number))
    try:
        rows = Run(path).history
    except KerasdlError:
        rows = []
    same = trial.user_attrs.get("same_as")
    error = trial.user_attrs.get("error", "")
    return {
        "number": trial.number,
        "state": "failed" if error else STATES.get(trial.state, "interrupted"),
        "value": trial.value if trial.state == TrialState.COMPLETE else _last(trial),
        "settings": settings,
        "epochs": len(rows) if same is None else 0,
        "seconds": round(sum(row["seconds"] for row in rows), 3) if same is None else 0.0,
        "run": path.name,
        "error": error,
        "same_as": same,
    }


def _last(trial):
    """The last value that a trial reported."""
    return trial.intermediate_values.get(trial.last_step)


def _importance(study):
    """{key: relative importance (PED-ANOVA)}, largest first; empty where it is unknown."""
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(finished) < LEAST_FINISHED or len({each.value for each in finished}) < 2:
        return {}
    shared = set.intersection(*(set(each.params) for each in finished))
    varied = [key for key in shared if len({each.params[key] for each in finished}) > 1]
    if len(varied) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, params=sorted(varied)
        )
    return {key: round(float(value), 4) for key, value in found.items()}
