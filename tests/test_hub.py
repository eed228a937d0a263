"""Runs on the hub, against a stand-in for it: what is sent and fetched, and what is refused."""

import pathlib

import pytest
from hub_server import TOKEN, Hub
from report_fixtures import run_folder
from test_cli import assert_one_error_line, kerasdl  # noqa: F401

from kerasdl.core import extensions
from kerasdl.core.errors import ConfigError, ModelFileError
from kerasdl.runs import config as configuration
from kerasdl.runs import hub as hubs
from kerasdl.runs import names
from kerasdl.runs.run import Run

constants = pytest.importorskip("huggingface_hub.constants")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The stand-in, to which the user is logged in."""
    hubs._fetched.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with Hub() as hub:
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def run(tmp_path):
    """A finished run with what is sent and what is not."""
    config = configuration.Config(task="segmentation", image_size=8)
    path = run_folder(tmp_path / "runs" / "unet", config, {"mean_iou": 0.25})
    (path / names.BEST_MODEL).write_bytes(b"model")
    (path / names.CARD).write_text("---\nlicense: other\n---\n# unet\n")
    for name in (
        "figures/curves.png",
        "figures/images/best.png",
        "checkpoints/epoch-00001/model.keras",
    ):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"x")
    for name in (names.SPLITS, "notes.txt", "figures/secret.txt"):
        (path / name).write_text("private")
    return path


def content(folder):
    folder = pathlib.Path(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_run_arrives_as_it_was_without_what_is_private(hub, run, kerasdl):  # noqa: F811
    code, out, err = kerasdl("push", str(run), "ada/unet")
    assert (code, out.strip()) == (0, f"{hub.url}/ada/unet")
    assert hub.private["ada/unet"] is True
    fetched = Run("hf:ada/unet")
    left = {"checkpoints/epoch-00001/model.keras", "splits.json", "notes.txt", "figures/secret.txt"}
    sent = {name: data for name, data in content(run).items() if name not in left}
    assert {"best.keras", "figures/images/best.png", "README.md", "history.csv"} <= set(sent)
    assert content(fetched) == sent
    assert fetched.scores == {"mean_iou": 0.25} and fetched.best_model.read_bytes() == b"model"
    assert Run(f"hf:ada/unet@{hub.sha('ada/unet')}").scores == fetched.scores

    # Once fetched it is there without the hub; a page about it goes to the working directory.
    before = content(fetched)
    hubs._fetched.cache_clear()
    hub.files.clear()
    code, out, err = kerasdl("report", "hf:ada/unet")
    assert (code, out.strip()) == (0, "page: report.html") and content(fetched) == before


def test_a_public_repository_takes_nothing_without_the_flag(hub, run, kerasdl):  # noqa: F811
    hub.add("ada/open", {})
    result = kerasdl("push", str(run), "ada/open")
    assert_one_error_line(result, 2, "the repository is public: ada/open (--public")
    assert set(hub.files["ada/open"]) == {".gitattributes"}
    assert kerasdl("push", str(run), "ada/open", "--public")[0] == 0
    assert kerasdl("push", str(run), "ada/new", "--public")[0] == 0
    assert hub.private == {"ada/open": False, "ada/new": False}


def config_of(run, **changes):
    text = (run / names.CONFIG).read_text()
    for key, value in changes.items():
        text += f"{key} = {value}\n" if f"{key} = " not in text else ""
        text = text.replace(f"{key} = []", f"{key} = {value}")
    return text.encode()


@pytest.mark.parametrize(
    "file", ["evil.pkl", "checkpoints/epoch-00001/model.keras", "figures/run.py", "sub/config.toml",
             "figures/../../x.png"],
)  # fmt: skip
def test_a_repository_with_other_files_is_no_run(hub, run, file):
    hub.add("eve/run", {**content(run), names.CONFIG: config_of(run)})
    for name in [each for each in hub.files["eve/run"] if not hubs._is_known(each)]:
        del hub.files["eve/run"][name]
    hub.files["eve/run"][file] = b"x"
    with pytest.raises(ModelFileError, match=f"not a run, the repository holds {file}: hf:eve/run"):
        Run("hf:eve/run")
    assert not pathlib.Path(constants.HF_HUB_CACHE).exists()


def test_a_fetched_run_imports_nothing_that_the_user_did_not_name(hub, run, tmp_path, monkeypatch):
    mine = tmp_path / "mine.py"
    mine.write_text("")
    for name in ("antigravity", str(mine)):
        hub.add("eve/run", {names.CONFIG: config_of(run, extensions=f'["{name}"]')})
        with pytest.raises(ConfigError, match=f"needs the extension {name}.*--extension FILE"):
            Run("hf:eve/run")
    monkeypatch.setattr(extensions, "_REPLACEMENTS", {})
    extensions.replace([str(mine)])
    assert Run("hf:eve/run").config.extensions == (str(mine),)


def test_what_cannot_be_had_is_one_line(hub, run, kerasdl, monkeypatch):  # noqa: F811
    hub.add("ada/secret", {names.CONFIG: b""}, private=True)
    hub.add("ada/other", {"README.md": b"x"})
    evaluate = ("evaluate", "segmentation", "--run")
    assert_one_error_line(kerasdl(*evaluate, "hf:ada/none"), 4, "no such repository, or no access")
    assert_one_error_line(kerasdl(*evaluate, "hf:ada/other"), 4, "config.toml is missing")
    assert_one_error_line(kerasdl(*evaluate, "hf:ada/other@v2"), 4, "no such revision: hf:ada/oth")
    assert_one_error_line(kerasdl(*evaluate, "hf:a/b/c"), 2, "not of the form USER/NAME")
    assert_one_error_line(kerasdl("export", "hf:ada/other", "--format", "onnx"), 2, "--out")
    trained = kerasdl("train", "segmentation", "--out", "hf:ada/other")
    assert_one_error_line(trained, 2, "cannot be trained")
    weighted = kerasdl("train", "segment", "--model", "fcn32", "--weights", "hf:ada/none", "--out",
                       "x", "--set", "train_size=2", "--set", "validation_size=1", "--set",
                       "test_size=1", "--image-size", "32")  # fmt: skip
    assert_one_error_line(weighted, 4, "no such repository")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert_one_error_line(
        kerasdl(*evaluate, "hf:ada/secret"), 4, "no access to it", "hf auth login"
    )
    assert_one_error_line(
        kerasdl("push", str(run), "ada/new"), 6, "refuses access", "hf auth login"
    )
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert_one_error_line(kerasdl(*evaluate, "hf:ada/run"), 4, "cannot be reached", "no copy")
    assert_one_error_line(kerasdl("push", str(run), "ada/new"), 6, "cannot be reached")


def test_only_a_finished_run_is_pushed(hub, run, kerasdl):  # noqa: F811
    (run / names.METRICS).unlink()
    assert_one_error_line(kerasdl("push", str(run), "ada/new"), 4, "the run is not finished")
    assert hub.files == {}


def test_a_missing_client_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    hubs._fetched.cache_clear()
    with pytest.raises(ConfigError, match=r"pip install 'kerasdl\[hub\]'"):
        Run("hf:ada/unet")
