"""Names of the files in a run folder."""

# What makes a folder a run folder, and what was trained on.
CONFIG = "config.toml"  # the resolved configuration
DATA = "data.json"  # fingerprint of the data, number of samples per split
SPLITS = "splits.json"  # which file is in which split, which were skipped
ENVIRONMENT = "environment.json"  # backend, versions, machine
INIT_WEIGHTS = "init_weights.json"  # layers that began with the weights of another model

# Training; a checkpoint is one folder below CHECKPOINTS.
LOCK = "lock"
HOLDER = "running.json"  # the process that holds the lock
CHECKPOINTS = "checkpoints"
STATE = "state.json"
STATE_MODEL = "model.keras"
STATE_AVERAGE = "average.keras"  # the averaged weights, where the run keeps them
HISTORY = "history.csv"

# The best model.
BEST_MODEL = "best.keras"
BEST_RECORD = "best.json"  # epoch, monitored value and checksum of the best model
SIDECAR = "model.json"  # what a model file does not say: task, classes, how to build the model

# For people; METRICS is written last and says that the run is finished.
METRICS = "metrics.json"
REPORT = "report.html"
REPORT_DATA = "report.json"  # what the report shows beside the metrics
FIGURES = "figures"
CARD = "README.md"

# All of them, in the order in which `--overwrite` removes them: what makes it a run folder goes
# last, so that a folder cleared by half can be cleared again.
ALL = (
    CHECKPOINTS,
    BEST_MODEL,
    BEST_RECORD,
    SIDECAR,
    INIT_WEIGHTS,
    HISTORY,
    METRICS,
    FIGURES,
    REPORT_DATA,
    REPORT,
    CARD,
    ENVIRONMENT,
    HOLDER,
    SPLITS,
    CONFIG,
    DATA,
)
