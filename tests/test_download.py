"""What the download process does with the real client against a Hub on this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.core.events import Loading
from playground.core.run import ModelSpec
from playground.errors import (
    InvalidInput,
    ModelInvalid,
    ModelNotFound,
    ModelUnsafe,
    PlaygroundError,
)
from playground.models import catalog, download
from playground.models.catalog import HubId
from tests.hub_stand_in import HubStandIn, hub_stand_in


@pytest.fixture(scope="module")
def repo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as a repo has them; the bytes of the weights need not be a model here."""
    folder = tmp_path_factory.mktemp("repo")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("Nothing that a model needs.")
    (folder / "model.py").write_text("raise SystemExit('this must never be fetched')")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 8000)
    return folder


@pytest.fixture()
def hub(repo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with hub_stand_in(repo_folder) as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
        yield stand_in


def fetch(name: str, news: list[Loading] | None = None, **more: object) -> Path:
    """Fetch ``stand-in/name`` with nobody giving up."""
    said = news.append if news is not None else lambda _: None
    more.setdefault("token", None)
    return download.fetch(
        HubId(f"stand-in/{name}"), news=said, given_up=more.pop("given_up", lambda: False), **more
    )


def test_a_model_arrives_whole_and_says_how_far_it_is(hub: HubStandIn, repo_folder: Path) -> None:
    news: list[Loading] = []
    folder = fetch("whole", news)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        assert (folder / name).read_bytes() == (repo_folder / name).read_bytes()
    assert {one.stage for one in news} == {"downloading"}
    assert any(one.done for one in news), "no progress was told"
    assert all(one.done is None or 0 <= one.done <= 1 for one in news)


def test_no_code_is_fetched(hub: HubStandIn) -> None:
    folder = fetch("code")
    assert not list(folder.glob("*.py"))
    assert not any(path.endswith(".py") for path in hub.asked)


def test_a_cached_model_loads_while_the_hub_is_down(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch("kept")
    before = hub.asked.total()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch("kept") == first
    assert hub.asked.total() == before, "a cached model asks nobody"


def test_a_half_fetched_model_is_not_taken_for_a_whole_one(hub: HubStandIn) -> None:
    folder = fetch("half")
    (folder / "tokenizer.json").unlink()
    assert download.cached(HubId("stand-in/half")) is None
    assert (fetch("half") / "tokenizer.json").exists()


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("absent", "MODEL_NOT_FOUND", "no model"),
        ("private", "MODEL_NOT_FOUND", "private"),
        ("gated", "HUB", "gated"),
        ("disabled", "HUB", "disabled"),
        ("crowded", "HUB", "7 s"),
        ("broken", "HUB", "500"),
        ("portal", "HUB", "not the Hub"),
        ("pickled", "MODEL_UNSAFE", "safetensors"),
    ],
)
def test_each_failure_of_the_hub_is_its_own_sentence(
    hub: HubStandIn, name: str, code: str, word: str
) -> None:
    with pytest.raises(PlaygroundError) as caught:
        fetch(name)
    problem = caught.value.problem
    assert problem.code == code
    assert word in str(problem)
    assert problem.field == "model"
    assert problem.given == f"stand-in/{name}"
    assert problem.advice
    assert "Traceback" not in str(problem) and "127.0.0.1" not in str(problem)


def test_a_hub_that_is_away_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(PlaygroundError, match="cannot be reached") as caught:
            fetch("away")
    assert caught.value.problem.code == "HUB"


def test_damaged_weights_are_refused_and_fetched_anew(hub: HubStandIn) -> None:
    """The client checks sizes only: damaged weights of the right size load and give nonsense."""
    for _ in range(2):
        with pytest.raises(PlaygroundError, match="damaged") as caught:
            fetch("damaged")
        assert caught.value.problem.code == ModelInvalid.code
    assert download.cached(HubId("stand-in/damaged")) is None
    gets = [count for path, count in hub.asked.items() if path.startswith("GET damaged/resolve")
            and path.endswith("safetensors")]
    assert gets == [2]


def test_a_stalled_download_ends(hub: HubStandIn) -> None:
    """The client goes on trying for minutes when a body stops coming."""
    with pytest.raises(PlaygroundError, match="sent nothing for 4 s") as caught:
        fetch("stalled", stalled=4.0)
    assert caught.value.problem.code == "HUB"


def test_a_download_that_nobody_waits_for_ends(hub: HubStandIn) -> None:
    nobody = threading.Event()
    timer = threading.Timer(2.0, nobody.set)
    timer.start()
    with pytest.raises(PlaygroundError):
        fetch("stalled-too", given_up=nobody.is_set)
    timer.cancel()


def test_only_the_download_process_shows_the_token(hub: HubStandIn) -> None:
    fetch("secret", token="hf_of_a_test")
    assert "Bearer hf_of_a_test" in hub.tokens


@pytest.mark.parametrize("repo", ["a/b/c", "owner/na me", "https://huggingface.co/a/b", "..a/b",
                                  "a--b/c", "имя/модель", "x" * 200])
def test_what_is_no_id_never_reaches_the_hub(repo: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        catalog.place(ModelSpec(repo), [], any_model=True)
    assert caught.value.problem.field == "model"


def test_an_id_is_not_a_folder_of_the_same_name(
    tmp_path: Path, repo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / "model").symlink_to(repo_folder)
    monkeypatch.chdir(tmp_path)
    assert catalog.place(ModelSpec("me/model"), [], any_model=True) == HubId("me/model")
    assert catalog.place(ModelSpec("./me/model"), [], any_model=True) == tmp_path / "me/model"


def test_in_public_every_other_path_gets_the_same_answer(repo_folder: Path) -> None:
    """Whether a path exists on the machine is nobody's business."""
    said = set()
    for repo in (str(repo_folder), "/no/such/folder", "owner/other", "../x"):
        with pytest.raises(InvalidInput) as caught:
            catalog.place(ModelSpec(repo), ["builtin/tiny-chat"], any_model=False)
        said.add(str(caught.value))
    assert len(said) == 1


def test_in_public_a_model_is_offered_as_it_is() -> None:
    with pytest.raises(InvalidInput, match="revision"):
        catalog.place(ModelSpec("owner/name", revision="pr/1"), ["owner/name"], any_model=False)


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no such folder"):
        catalog.place(ModelSpec(str(tmp_path / "nowhere")), [], any_model=True)
    with pytest.raises(ModelInvalid, match="config.json"):
        catalog.place(ModelSpec(str(tmp_path)), [], any_model=True)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelUnsafe, match="safetensors"):
        catalog.place(ModelSpec(str(tmp_path)), [], any_model=True)
