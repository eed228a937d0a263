"""A look at a data set before training: what must be fixed, what is odd, what is in it.

Rows 60 to 95 of the fault matrix in one pass: structure, files that cannot be read, masks with
their values and sizes, duplicates, balance. Only reads; nothing is ever changed.
"""

import concurrent.futures
import dataclasses
import pathlib
import time

from kerasdl import data
from kerasdl.core.errors import ConfigError, DataError
from kerasdl.data.folder import discover, mask_scan, masks
from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.folder.layout import UNDIVIDED
from kerasdl.data.inspect import statistics as summary
from kerasdl.data.inspect.examine import examine_files, examine_sample
from kerasdl.data.inspect.findings import SEVERITIES, Finding, counted

QUICK_HEADERS = 2000  # images whose head the quick check reads
QUICK_MASKS = 64  # masks whose values the quick check reads
QUICK_SAMPLES = 16  # samples of other data sets that the quick check reads
YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")  # as Ultralytics has them
MOST_LINES = 20  # findings of one kind that the text shows; JSON holds all


@dataclasses.dataclass
class Report:
    """What `check` found.

    Attributes:
        source: Path or name of the data.
        task: The task they were checked for.
        findings: List of Finding, the errors first.
        statistics: Counts, sizes, balance, as plain JSON types.
    """

    source: str
    task: str
    findings: list[Finding]
    statistics: dict

    @property
    def failed(self):
        """Whether something must be fixed before training."""
        return any(finding.severity == "error" for finding in self.findings)

    def count(self, severity):
        """Number of findings of one severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def as_dict(self):
        """The report as plain JSON types."""
        return {
            "source": self.source,
            "task": self.task,
            "failed": self.failed,
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "findings": [finding.as_dict() for finding in self.findings],
            "statistics": self.statistics,
        }

    def lines(self):
        """The report as lines of text: one per finding, then the statistics."""
        shown, counts = [], {}
        for finding in self.findings:
            key = finding.severity, finding.kind
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= MOST_LINES:
                shown.append(finding.line())
        for (severity, kind), count in counts.items():
            if count > MOST_LINES:
                what = f"{count - MOST_LINES} more of kind '{kind}'"
                shown.append(f"{severity}: {what} (--json lists them)")
        return [*shown, *_statistics_lines(self.statistics), self.verdict()]

    def verdict(self):
        """One closing line."""
        parts = ", ".join(counted(self.count(severity), severity) for severity in SEVERITIES)
        state = "must be fixed before training" if self.failed else "ready to train"
        return f"{self.source}, {self.task}: {state} ({parts})"


def check(source, task, config, quick=False):
    """Report about a data set.

    Args:
        source: Path of a folder or .npz file, or a `data.base.Dataset`.
        task: "classification", "segmentation" or "colorization".
        config: Configuration whose seed, splits and ignore labels count.
        quick: Only what takes moments: structure, heads of the files, values of some masks.

    Returns:
        Report. Nothing that is wrong with the data raises; it becomes a finding.
    """
    started = time.perf_counter()
    name = source if isinstance(source, str | pathlib.Path) else source.name
    findings, statistics = [], {}
    try:
        if not isinstance(source, str | pathlib.Path):
            _check_dataset(source, task, quick, findings, statistics)
        elif pathlib.Path(source).suffix.lower() == ".npz":
            dataset = data.load(dataclasses.replace(config, task=task, data=str(source)))
            _check_dataset(dataset, task, quick, findings, statistics)
        else:
            _check_folder(pathlib.Path(source), task, config, quick, findings, statistics)
    except (DataError, ConfigError) as error:
        path = str(error.path or "")
        findings.append(Finding("error", error.what, path, "", error.fix or "", "structure"))
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    statistics["quick"] = quick
    statistics["seconds"] = round(time.perf_counter() - started, 3)
    return Report(str(name), task, findings, statistics)


def _check_folder(path, task, config, quick, findings, statistics):
    """Fills findings and statistics about a folder."""
    layout = discover.discover(path, task)
    findings += layout.findings
    statistics["ignored_files"] = layout.tree.ignored
    statistics["other_files"] = dict(layout.tree.others)
    findings += _notes(layout, config)
    rule = masks.rule_for(layout.file, ignore=config.ignore_labels)
    jobs = [(split, entry) for split, entries in layout.entries.items() for entry in entries]
    looked = set(_spread(len(jobs), QUICK_HEADERS if quick else len(jobs)))
    valued = set(_spread(len(jobs), QUICK_MASKS if quick else len(jobs)))

    def examine(index):
        split, entry = jobs[index]
        return examine_files(split, entry, rule, not quick, index in valued)

    records = _parallel(examine, sorted(looked | valued))
    names = layout.class_names
    if task == "segmentation" and not quick and rule.classes is None:
        found = [record.mask for record in records if record.mask]
        finding = mask_scan.count_finding(found, rule)
        findings += [finding] if finding else []
        count = None if finding else _class_count(found, rule)
        rule = masks.rule_for(layout.file, count, config.ignore_labels)
        names = tuple(f"class_{index}" for index in range(count or 0))
    labels = [(split, entry.label) for split, entry in jobs]
    _summarize(records, labels, task, rule if names else None, names, quick, findings, statistics)


def _check_dataset(dataset, task, quick, findings, statistics):
    """Fills findings and statistics about a data set that is not a folder of files."""
    rule = masks.MaskRule(len(dataset.class_names) or None, dataset.ignore_labels)
    jobs = []
    for name, split in dataset.splits.items():
        indices = _spread(len(split), QUICK_SAMPLES if quick else len(split))
        jobs += [(name, split, index) for index in indices]
    records = _parallel(lambda index: examine_sample(*jobs[index]), range(len(jobs)))
    # A few samples say nothing about how many there are of each class.
    labels = [] if quick else [(record.split, record.label) for record in records]
    _summarize(records, labels, task, rule, dataset.class_names, quick, findings, statistics)
    statistics["samples"] = {name: len(split) for name, split in dataset.splits.items()}


def _summarize(records, labels, task, rule, names, quick, findings, statistics):
    """Fills in what all records together tell; `labels` holds (split, label) of all samples."""
    for record in records:
        findings += record.findings
    statistics.update(summary.statistics_of(records, names, labels))
    findings += summary.image_findings(records, task)
    if task == "classification":
        findings += summary.class_findings(records, names, statistics)
    findings += summary.duplicate_findings(records, names)
    if task == "segmentation" and rule is not None:
        found = [record.mask for record in records if record.mask]
        findings += mask_scan.outside_findings(found, rule)
        # A few masks, or those left over where most are wrong, say nothing about the balance.
        known = sum(mask_scan.class_counts(mask, rule, len(names)) is not None for mask in found)
        if not quick and 2 * known > len(found):
            findings += summary.mask_findings(records, rule, names, statistics)


def _notes(layout, config):
    """What kerasdl does with this folder without being asked."""
    tree = layout.tree
    if tree.ignored:
        yield Finding(
            "note", f"{counted(tree.ignored, 'hidden or system file')} ignored", str(tree.root)
        )
    if layout.file.path is None and layout.file.ignore:
        what = f"value {layout.file.ignore[0]} is ignored: the last line of classes.txt"
        yield Finding("note", what, str(tree.root / "classes.txt"))
    for name in [name for name in YAML_FILES if (tree.root / name).is_file()]:
        if layout.file.path is None:
            fix = f"copy its keys (names, train, val, ...) into {FILE_NAME}, as TOML"
            yield Finding("note", f"{name} is not read", str(tree.root / name), fix=fix)
    if UNDIVIDED in layout.entries:
        fractions = f"{config.validation_split:.0%} validation, {config.test_split:.0%} test"
        what = f"no split folders: {fractions} are drawn with seed {config.seed}"
        yield Finding("note", what, str(tree.root), fix="--set validation_split=..., test_split")
    elif "validation" not in layout.entries and layout.entries:
        fraction = f"{config.validation_split:.0%}"
        what = f"no validation folder: {fraction} of the training images, seed {config.seed}"
        yield Finding("note", what, str(tree.root), fix="--set validation_split=...")


def _class_count(found, rule):
    targets = [
        target for target in (*rule.values.values(), *rule.colors.values()) if target != "ignore"
    ]
    used = targets or mask_scan.used_values(found, rule)
    return max(used, default=0) + 1


def _spread(count, most):
    """At most `most` of the indices below count, evenly spread."""
    if count <= most:
        return list(range(count))
    return [place * count // most for place in range(most)]


def _parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(mask_scan.THREADS) as pool:
        return list(pool.map(function, items))


def _statistics_lines(statistics):
    """The statistics as aligned lines of text."""
    lines = []
    if statistics.get("samples"):
        parts = ", ".join(f"{name} {count}" for name, count in statistics["samples"].items())
        lines.append(f"samples:  {parts}")
    if "sizes" in statistics:
        parts = ", ".join(
            f"{name} {width}x{height}" for name, (height, width) in statistics["sizes"].items()
        )
        lines.append(f"images: {parts} (width x height)")
    for key, title in (("per_class", "images per class"), ("pixel_fractions", "share of pixels")):
        for split, values in statistics.get(key, {}).items():
            parts = ", ".join(
                f"{name} {value:.2%}" if key == "pixel_fractions" else f"{name} {value}"
                for name, value in values.items()
                if value or name != "(ignored)"
            )
            lines.append(f"{title}, {split}: {parts}")
    return lines
