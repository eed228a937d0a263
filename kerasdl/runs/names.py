"""Names of the files in a run folder."""

# Configuration, data and environment; the first two make a folder a run folder.
CONFIG = "config.toml"  # the resolved configuration
DATA = "data.json"  # fingerprint of the data, number of samples per split
SPLITS = "splits.json"  # files per split, skipped files
ENVIRONMENT = "environment.json"  # backend, versions, machine
INIT_WEIGHTS = "init_weights.json"  # layers initialized from another model

# Training; a checkpoint is one folder below CHECKPOINTS.
LOCK = "lock"
HOLDER = "running.json"  # the process that holds the lock
FAILURE = "failure.json"  # the error that ended the last training
CHECKPOINTS = "checkpoints"
STATE = "state.json"
STATE_MODEL = "model.keras"
STATE_AVERAGE = "average.keras"  # the averaged weights, if any
HISTORY = "history.csv"

TRACKERS = "trackers.json"  # what each tracker has been sent
TENSORBOARD = "tensorboard"
WANDB = "wandb"

# The best model.
BEST_MODEL = "best.keras"
BEST_RECORD = "best.json"  # epoch, monitored value and checksum of the best model
SIDECAR = "model.json"  # metadata of the model: task, classes, how to build it

# Results; METRICS is written last and marks the run as finished.
METRICS = "metrics.json"
IMAGE_SCORES = "image_scores.npz"  # what each test image adds to the scores
REPORT = "report.html"
REPORT_DATA = "report.json"  # what the report shows besides the metrics
FIGURES = "figures"
CARD = "README.md"
EXPORTED = "exported"  # files made of the best model

# All of them, in the order in which `--overwrite` removes them: those that make it a run folder
# come last, so that an interrupted removal can be repeated.
ALL = (
    EXPORTED,
    CHECKPOINTS,
    BEST_MODEL,
    BEST_RECORD,
    SIDECAR,
    INIT_WEIGHTS,
    HISTORY,
    METRICS,
    IMAGE_SCORES,
    FIGURES,
    REPORT_DATA,
    REPORT,
    CARD,
    ENVIRONMENT,
    TRACKERS,
    TENSORBOARD,
    WANDB,
    HOLDER,
    FAILURE,
    SPLITS,
    CONFIG,
    DATA,
)
