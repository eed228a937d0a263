"""`kerasdl reproduce`: the same runs, figures and page whatever trains the runs, in any order."""

import types

import click.testing
import pytest

from kerasdl.cli.reproduce import reproduce as command
from kerasdl.core.errors import KerasdlError
from kerasdl.tools.jobs import training
from kerasdl.tools.jobs.processes import Processes
from kerasdl.tools.jobs.training import Outcome
from kerasdl.tools.reproduce import reproduction


@pytest.fixture
def reproduced(monkeypatch, tmp_path):
    """Function that reproduces with runs that end as told, and returns what was done."""
    monkeypatch.setattr(reproduction.run, "Run", lambda path: types.SimpleNamespace(history=path))
    monkeypatch.setattr(
        reproduction, "_images", lambda task, folders, title: {"rows": folders, "columns": [title]}
    )

    def reproduce(order, workers=None, failing=()):
        done = {"drawn": {}, "jobs": [], "workers": None, "published": None}

        def train_listed(jobs, workers, quiet):
            done.update(jobs=jobs, workers=workers)
            for job in order(jobs):
                failed = job.key in failing
                yield job, Outcome("TrainingFailed", "nan", 5) if failed else Outcome()

        def draw(content, *arguments, **options):
            (path,) = [each for each in arguments if hasattr(each, "stem")]
            assert path.stem not in done["drawn"]  # each figure is drawn once
            done["drawn"][path.stem] = content

        def publish(out, folders, tables, quick, seconds):
            assert not failing
            done["published"] = folders, tables
            return out / "report.html", []

        monkeypatch.setattr(training, "train_listed", train_listed)
        monkeypatch.setattr("kerasdl.report.figures.training_curves", draw)
        monkeypatch.setattr("kerasdl.report.figures.image_grid", draw)
        monkeypatch.setattr(reproduction, "_publish", publish)
        reproduction.reproduce(tmp_path, seeds=2, workers=workers)
        return done

    return reproduce


def test_several_at_a_time_give_what_one_after_another_gives(reproduced, tmp_path):
    alone = reproduced(list)
    workers = Processes(tmp_path, 2)
    together = reproduced(lambda jobs: jobs[::-1], workers)
    assert (alone.pop("workers"), together.pop("workers")) == (None, workers)
    assert together == alone
    assert [job.key for job in alone["jobs"]] == [
        (variant, seed) for seed in (0, 1) for variant in reproduction.VARIANTS
    ]
    assert set(alone["drawn"]) == {"figure1", "figure2", "figure3"}
    # The figures show the first seed.
    assert alone["drawn"]["figure1"] == tmp_path / "seed-0" / "resnet18"
    assert alone["drawn"]["figure2"] == {
        "FCN-32s": tmp_path / "seed-0" / "fcn32",
        "U-Net": tmp_path / "seed-0" / "unet",
    }
    folders, _ = alone["published"]
    assert folders == [job.folder for job in alone["jobs"]]


def test_failed_runs_are_counted_and_none_is_published(reproduced):
    with pytest.raises(KerasdlError, match="2 of 14 runs failed, the first: nan") as caught:
        reproduced(lambda jobs: jobs[::-1], failing=[("unet", 0), ("fcn8", 1)])
    assert caught.value.exit_code == 5


def test_the_command_hands_its_jobs_on(monkeypatch, tmp_path):
    seen = {}

    def reproduce(out, quick, seeds, values, backend, quiet, workers):
        seen.update(values=values, size=workers.size, seeds=seeds)
        raise KerasdlError("enough")

    monkeypatch.setattr(reproduction, "reproduce", reproduce)
    words = ["--out", str(tmp_path), "--jobs", "2", "--seeds", "3", "--set", "epochs=1"]
    result = click.testing.CliRunner().invoke(command, words, obj={})
    assert str(result.exception) == "enough"
    assert seen == {"values": {"epochs": 1, "data": "scenes"}, "size": 2, "seeds": 3}
