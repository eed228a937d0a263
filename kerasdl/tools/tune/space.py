"""Parses `--space`: the values that a search may choose from.

KEY=LOW..HIGH        a range of integers or of numbers, both ends included
KEY=LOW..HIGH:log    on a logarithmic scale
KEY=VALUE,VALUE,...  a choice, as in `kerasdl.tools.sweep.grid`; true,false for a flag
"""

import dataclasses
import json
import math
import re

from kerasdl.core.errors import ConfigError
from kerasdl.runs import config as configuration
from kerasdl.tools.sweep import grid

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
RANGE = re.compile(rf"({NUMBER})\.\.({NUMBER})(:log)?", re.I)
FORMS = "LOW..HIGH, LOW..HIGH:log or VALUE,VALUE, such as learning_rate=1e-3..0.3:log"


@dataclasses.dataclass(frozen=True)
class Dimension:
    """The values of one key.

    Attributes:
        key: As written.
        choices: The values of a choice; empty for a range.
        low, high: Ends of a range, both integers or both numbers.
        log: Whether the range is sampled on a logarithmic scale.
    """

    key: str
    choices: tuple = ()
    low: float = 0
    high: float = 0
    log: bool = False

    @property
    def document(self):
        """As JSON types."""
        return {**dataclasses.asdict(self), "choices": list(self.choices)}

    @property
    def ends(self):
        """Values that stand for the others in a check: all of a choice, the ends of a range."""
        return self.choices or (self.low, self.high)

    @property
    def size(self):
        """Number of values; infinite for a range of numbers."""
        if self.choices:
            return len(self.choices)
        return self.high - self.low + 1 if isinstance(self.low, int) else math.inf

    def value(self, plain):
        """The value that Optuna stores as `plain`."""
        return next((each for each in self.choices if stored(each) == plain), plain)

    def suggest(self, trial):
        """The value that an `optuna.trial.Trial` has for this key, or chooses now."""
        if self.choices:
            plain = trial.suggest_categorical(self.key, [stored(value) for value in self.choices])
            return self.value(plain)
        if isinstance(self.low, int):
            return trial.suggest_int(self.key, self.low, self.high, log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)


def stored(value):
    """A value of a choice as Optuna can store it: a list as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def parse(assignments):
    """{key as written: Dimension} from the arguments of `--space`.

    Raises:
        ConfigError: A range or a choice is not of the forms above, or is given twice.
    """
    space = {}
    for assignment in assignments:
        key, separator, text = (part.strip() for part in assignment.partition("="))
        if not separator or not key or not text:
            raise ConfigError(f"--space: '{assignment}' has no key or no values", fix=FORMS)
        if key in space:
            raise ConfigError(f"--space names '{key}' twice", fix="one --space with all its values")
        space[key] = _dimension(key, text)
    return space


def _dimension(key, text):
    low, dots, high = text.partition("..")
    numeric = re.match(NUMBER, low) or re.match(NUMBER, high)
    if dots and numeric and "," not in text:
        return _range(key, text)
    choices = tuple(grid.values(key, text))
    if len(choices) < 2:
        raise ConfigError(
            f"--space: '{key}={text}' is one value", fix=f"--set {key}={text}, or {FORMS}"
        )
    for place, value in enumerate(choices):
        if stored(value) in map(stored, choices[:place]):
            raise ConfigError(f"--space: '{key}={text}' names {value!r} twice", fix="leave one out")
    return Dimension(key, choices)


def _range(key, text):
    match = RANGE.fullmatch(text)
    if not match:
        raise ConfigError(f"--space: '{key}={text}' is not a range", fix=FORMS)
    *ends, log = match.groups()
    numbers = [float(end) for end in ends]
    default = getattr(configuration.Config, key, None)
    # The strengths of augmentation are numbers, the options of models counts.
    continuous = isinstance(default, float) or key.startswith("augment_args.")
    if not continuous and all(re.fullmatch(r"[+-]?\d+", end) for end in ends):
        numbers = [int(end) for end in ends]
    low, high = numbers
    if not low < high:
        raise ConfigError(f"--space: '{key}={text}' is empty", fix="LOW must be below HIGH")
    if log and low <= 0:
        raise ConfigError(
            f"--space: '{key}={text}' starts at {low:g}", fix="with :log LOW must be above 0"
        )
    return Dimension(key, low=low, high=high, log=bool(log))
