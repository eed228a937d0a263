"""`kerasdl doctor`: all checks, and a trial of every installed backend."""

import concurrent.futures
import itertools
import math

import kerasdl
from kerasdl import backend as backends
from kerasdl.backend import machine
from kerasdl.tools import workers
from kerasdl.tools.doctor import checks

TOLERANCE = 1e-4  # of the largest output, or of 1 if that is smaller
TIMEOUT = 120  # seconds per backend, a generous limit
AT_ONCE = 2


def examine(attempt=None):
    """Runs all checks.

    Args:
        attempt: Function backend -> result of `kerasdl.tools.doctor.trial.trial`, or {"error"}.

    Returns:
        {"kerasdl", "machine", "findings", "broken": number of broken findings}.
    """
    attempt = attempt or try_backend
    found = [*checks.python(), *checks.keras(), *checks.combinations()]
    names = backends.installed()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        trials = dict(zip(names, pool.map(attempt, names), strict=True))
    found += backend_findings(trials)
    found += [*agreement(trials), *checks.choice(), *checks.folders(), *checks.extras()]
    return {
        "kerasdl": kerasdl.__version__,
        "machine": machine.description(),
        "findings": found,
        "broken": sum(each["state"] == "broken" for each in found),
    }


def try_backend(name):
    """Tries a backend in its own process."""
    try:
        with workers.Worker("kerasdl.tools.doctor.trial:work", name, name, TIMEOUT) as worker:
            return worker.read()
    except workers.WorkerTimeout as error:
        return {"slow": f"{error}, so the trial was stopped (is the machine busy?)"}
    except workers.WorkerFailed as error:
        return {"error": str(error)}


def backend_findings(trials):
    """One finding per backend: its devices, or why it does not work."""
    found = []
    for name, trial in trials.items():
        if "slow" in trial:
            found.append(checks.finding(name, "note", trial["slow"], "try again later"))
        elif "error" in trial:
            found.append(checks.finding(name, "broken", trial["error"],
                                        f"pip install --force-reinstall 'kerasdl[{name}]', or "
                                        f"uninstall it"))  # fmt: skip
        elif not all(math.isfinite(value) for value in (trial["loss"], *trial["after"])):
            found.append(checks.finding(name, "broken", "a training step gives non-finite values",
                                        "kerasdl compare backends shows where"))  # fmt: skip
        else:
            versions = trial["versions"]
            version = versions.get(name) or versions.get(f"{name}-cpu", "")
            text = (
                f"{version} on {', '.join(trial['devices'])}: imported in "
                f"{trial['import_seconds']:.0f} s, trained in {trial['seconds']:.0f} s"
            )
            found.append(checks.finding(name, "ok", text))
    return found


def agreement(trials):
    """Whether all working backends agree, before and after the same training step."""
    good = {name: trial for name, trial in trials.items() if "before" in trial}
    if len(good) < 2:
        return []
    worst = {"before": 0.0, "after": 0.0}
    for first, second in itertools.combinations(good.values(), 2):
        for key in worst:
            worst[key] = max(worst[key], _distance(first[key], second[key]))
    text = (
        f"{', '.join(good)}: outputs differ by {worst['before']:.0e}, "
        f"after a training step by {worst['after']:.0e}"
    )
    if max(worst.values()) <= TOLERANCE:
        return [checks.finding("agreement", "ok", text)]
    return [checks.finding("agreement", "broken", f"{text}; at most {TOLERANCE:.0e} is allowed",
                           "kerasdl compare backends shows where")]  # fmt: skip


def _distance(a, b):
    """Largest |a - b| / max(1, |a|, |b|), infinite for what is not finite."""
    if not all(map(math.isfinite, (*a, *b))):
        return math.inf
    scale = max(1.0, *map(abs, a), *map(abs, b))
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) / scale
