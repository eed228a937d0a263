"""A look at a data set before training: what must be fixed, what is odd, what is in it.

Rows 60 to 95 of the fault matrix in one pass: structure, files that cannot be read, masks with
their values and sizes, duplicates, balance. Only reads; nothing is ever changed.
"""

import concurrent.futures
import dataclasses
import time

from kerasdl import data
from kerasdl.core import registry
from kerasdl.core.errors import ConfigError, DataError
from kerasdl.data.folder import discover, mask_palettes, mask_scan, masks
from kerasdl.data.folder.dataset_file import FILE_NAME
from kerasdl.data.folder.layouts import UNDIVIDED
from kerasdl.data.inspect import statistics as summary
from kerasdl.data.inspect.examine import examine_files, examine_sample
from kerasdl.data.inspect.findings import SEVERITIES, Finding, counted

QUICK_HEADERS = 2000  # images whose head the quick check reads
QUICK_MASKS = 64  # masks whose values the quick check reads
QUICK_SAMPLES = 16  # samples of other data sets that the quick check reads
YAML_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")  # as Ultralytics has them
TRAINING = ("train", UNDIVIDED)  # what there is to learn from
MOST_LINES = 20  # findings of one kind that the text shows; JSON holds all


@dataclasses.dataclass
class Report:
    """What `check` found.

    Attributes:
        source: What the user wrote for the data.
        task: The task they were checked for, for display.
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


def check(config, annotation, quick=False, location=None, dataset=None):
    """Report about a data set; see `kerasdl.data.check`."""
    started = time.perf_counter()
    try:
        location = location or data.locate(config.data, annotation)
        function = registry.load(location.source.check)
        report = function(location, annotation, config, quick, dataset)
    except (DataError, ConfigError) as error:
        path = str(error.path or "")
        finding = Finding("error", error.what, path, "", error.fix or "", "structure")
        report = Report(config.data, config.task, [finding], {})
    report.findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    report.statistics["quick"] = quick
    report.statistics["seconds"] = round(time.perf_counter() - started, 3)
    return report


def check_folder(location, annotation, config, quick, dataset=None):
    """Report about a folder."""
    reading = discover.discover(location, annotation)
    report = Report(location.shown, config.task, list(reading.findings), {})
    statistics, findings = report.statistics, report.findings
    statistics["ignored_files"] = reading.tree.ignored
    statistics["other_files"] = dict(reading.tree.others)
    findings += _notes(reading, location.file, config)
    rule = masks.rule_for(reading, ignore=config.ignore_labels)
    jobs = [(split, entry) for split, entries in reading.splits.items() for entry in entries]
    looked = set(_spread(len(jobs), QUICK_HEADERS if quick else len(jobs)))
    valued = set(_spread(len(jobs), QUICK_MASKS if quick else len(jobs)))

    def examine(index):
        split, entry = jobs[index]
        return examine_files(split, entry, rule, not quick, index in valued)

    records = _parallel(examine, sorted(looked | valued))
    described = rule.values or rule.colors
    if annotation == "mask" and rule.classes is None and (described or not quick):
        found = [record.mask for record in records if record.mask]
        finding = mask_scan.count_finding(found, rule)
        findings += [finding] if finding else []
        rule = masks.rule_for(
            reading, None if finding else _class_count(found, rule), config.ignore_labels
        )
    names = reading.class_names
    if annotation == "mask":
        names = names or tuple(f"class_{index}" for index in range(rule.classes or 0))
    labels = [(split, entry.label) for split, entry in jobs]
    _summarize(report, records, labels, annotation, rule if names else None, names, quick)
    if annotation == "mask" and not report.failed:
        rest = [jobs[index] for index in range(len(jobs)) if index not in valued]
        findings += _one_class(records, rest, rule)
    if not quick and not report.failed:
        _try_to_load(location, annotation, config, findings)
    return report


def _one_class(records, rest, rule):
    """Finding if all training masks hold one class. More are read until a second is found."""
    found = [record.mask for record in records if record.mask and record.split in TRAINING]
    sources = [entry.mask_source() for split, entry in rest if split in TRAINING]
    finding = mask_scan.single_class_finding(found, rule)
    # Masks that hold the same are asked about once: there may be a hundred thousand.
    kinds = _by_content(found)
    for first in range(0, len(sources), QUICK_MASKS):
        if finding is None:
            return []
        scanned = mask_scan.scan(sources[first : first + QUICK_MASKS], rule)
        read = [mask for mask in scanned if not isinstance(mask, DataError)]
        found += read
        kinds |= _by_content(read)
        finding = mask_scan.single_class_finding(list(kinds.values()), rule)
    return [mask_scan.single_class_finding(found, rule)] if finding else []


def _by_content(masks_read):
    """One mask for each set of values that some masks hold."""
    return {(mask.colored, tuple(mask.values.tolist())): mask for mask in masks_read}


def _try_to_load(location, annotation, config, findings):
    """Adds what training would refuse beyond what was found."""
    try:
        data.load(config, annotation, location)
    except (DataError, ConfigError) as error:
        path = str(error.path or "")
        findings.append(Finding("error", error.what, path, "", error.fix or "", "structure"))


def check_samples(location, annotation, config, quick, dataset=None):
    """Report about a data set that is not a folder of files."""
    dataset = dataset or data.load(config, annotation, location)
    report = Report(location.shown, config.task, [], {})
    rule = masks.MaskRule(len(dataset.class_names) or None, dataset.ignore_labels)
    jobs = []
    for name, split in dataset.splits.items():
        indices = _spread(len(split), QUICK_SAMPLES if quick else len(split))
        jobs += [(name, split, index) for index in indices]
    records = _parallel(lambda index: examine_sample(*jobs[index]), range(len(jobs)))
    # A few samples say nothing about how many there are of each class.
    labels = [] if quick else [(record.split, record.label) for record in records]
    _summarize(report, records, labels, annotation, rule, dataset.class_names, quick)
    report.statistics["samples"] = {name: len(split) for name, split in dataset.splits.items()}
    return report


def _summarize(report, records, labels, annotation, rule, names, quick):
    """Fills in what all records together tell; `labels` holds (split, label) of all samples."""
    findings, statistics = report.findings, report.statistics
    for record in records:
        findings += record.findings
    statistics.update(summary.statistics_of(records, names, labels))
    findings += summary.image_findings(records, annotation)
    if annotation == "label":
        findings += summary.class_findings(records, names, statistics)
    findings += summary.duplicate_findings(records, names)
    if annotation == "mask" and rule is not None:
        found = [record.mask for record in records if record.mask]
        findings += mask_scan.outside_findings(found, rule)
        if not any(finding.severity == "error" for finding in findings):
            several = mask_palettes.palette_finding(found, rule)
            findings += [several] if several else []
        # A few masks, or those left over where most are wrong, say nothing about the balance.
        known = sum(mask_scan.class_counts(mask, rule, len(names)) is not None for mask in found)
        if not quick and 2 * known > len(found):
            findings += summary.mask_findings(records, rule, names, statistics)


def _notes(reading, file, config):
    """What kerasdl does with this folder without being asked."""
    tree = reading.tree
    if reading.summary:
        yield Finding("note", reading.summary, str(tree.root), kind="layout")
    if tree.ignored:
        yield Finding(
            "note", f"{counted(tree.ignored, 'hidden or system file')} ignored", str(tree.root)
        )
    if file.path is None and file.ignore:
        what = f"value {file.ignore[0]} is ignored: the last line of classes.txt"
        yield Finding("note", what, str(tree.root / "classes.txt"))
    for name in [name for name in YAML_FILES if (tree.root / name).is_file()]:
        if file.path is None and not reading.summary:  # a layout that was recognized reads it
            fix = f"copy its keys (names, train, val, ...) into {FILE_NAME}, as TOML"
            yield Finding("note", f"{name} is not read", str(tree.root / name), fix=fix)
    if UNDIVIDED in reading.splits:
        fractions = f"{config.validation_split:.0%} validation, {config.test_split:.0%} test"
        what = f"no split folders: {fractions} are drawn with seed {config.split_seed}"
        yield Finding("note", what, str(tree.root), fix="--set validation_split=..., test_split")
    elif "validation" not in reading.splits and reading.splits:
        fraction = f"{config.validation_split:.0%}"
        what = f"no validation folder: {fraction} of the training images, seed {config.split_seed}"
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
