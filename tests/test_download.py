"""What a download does with the real client against a Hub on this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from huggingface_hub import HfApi, constants

from playground.core.events import Loading
from playground.core.run import ModelSpec
from playground.errors import (
    InvalidInput,
    ModelInvalid,
    ModelNotFound,
    ModelTooBig,
    ModelUnsafe,
    PlaygroundError,
)
from playground.models import footprint, hub_cache, hub_faults, hub_files
from playground.models.download import Downloads, Pace
from playground.models.hub_cache import snapshot
from playground.models.place import HubId, place
from playground.models.repo import Repo
from tests.hub_stand_in import COMMIT, TOKEN, HubStandIn, hub_stand_in
from tests.test_footprint import written

NEWER = "f" * 40
WHOLE = 2**21  # bytes of the weights; the stand-in breaks off at half of them
NEEDED = {"config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"}


@pytest.fixture(scope="module")
def repo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as a repo has them: what a model needs, and the many things that it does not."""
    folder = tmp_path_factory.mktemp("repo")
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 100,
              "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "README.md").write_text("Nothing that a model needs.")
    (folder / "model.py").write_text("raise SystemExit('this must never be fetched')")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "tf_model.h5").write_bytes(b"tensorflow")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"onnx")
    (folder / "onnx" / "config.json").write_text("{}")
    (folder / "original").mkdir()
    shapes = {"model.layers.0.mlp.up_proj.weight": ("BF16", [64, 128]),
              "model.embed_tokens.weight": ("BF16", [100, 64])}
    for name in ("model", "consolidated", "original/model"):
        file = written(folder, shapes, name) / f"{name}.safetensors"
        file.write_bytes((file.read_bytes() + bytes(range(256)) * 8192)[:WHOLE])
    return folder


@pytest.fixture()
def hub(repo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with hub_stand_in(repo_folder) as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
        yield stand_in


@pytest.fixture()
def downloads() -> Downloads:
    """Patient with a slow machine."""
    return Downloads(stalled=60.0, asking=60.0)


def fetch(
    downloads: Downloads, name: str, news: list[Loading] | None = None, revision: str = "",
    given_up: Callable[[], bool] = lambda: False, token: str | None = None, **more: Any
) -> Path:
    """Fetch ``stand-in/name``."""
    said = news.append if news is not None else lambda _: None
    return downloads.fetch(HubId(f"stand-in/{name}", revision), token, said, given_up, **more)


def eventually(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 100
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def blobs(name: str) -> Path:
    """Where the cache keeps the files of a repo."""
    return Path(constants.HF_HUB_CACHE) / f"models--stand-in--{name}" / "blobs"


@pytest.fixture(scope="module")
def arrived(repo_folder: Path) -> Iterator[SimpleNamespace]:
    """One download, as it went; ``copied`` puts what it brought under other names."""
    with pytest.MonkeyPatch.context() as patch, hub_stand_in(repo_folder) as hub:
        patch.setenv("HF_ENDPOINT", hub.url)
        orphan = "a" * 64 + ".1234abcd.incomplete"
        blobs("whole").mkdir(parents=True)
        for name, age in ((orphan, 3700), ("b" + orphan[1:], 60)):
            (blobs("whole") / name).write_bytes(b"left behind by a process that was killed")
            os.utime(blobs("whole") / name, (time.time() - age, time.time() - age))
        news: list[Loading] = []
        folder = fetch(Downloads(asking=60.0), "whole", news, token=TOKEN)
        yield SimpleNamespace(folder=folder, news=news, hub=hub)


def copied(arrived: SimpleNamespace, name: str) -> Path:
    """What has arrived, as if it had come from a repo of this name; gives its folder."""
    storage = blobs("whole").parent
    shutil.copytree(storage, blobs(name).parent, symlinks=True)
    return blobs(name).parent / arrived.folder.relative_to(storage)


# What arrives


def test_a_model_arrives_whole_and_says_how_far_it_is(
    arrived: SimpleNamespace, repo_folder: Path
) -> None:
    for name in NEEDED:
        assert (arrived.folder / name).read_bytes() == (repo_folder / name).read_bytes()
    assert {one.stage for one in arrived.news} == {"downloading"}
    assert any(one.done for one in arrived.news), "no progress was told"
    assert all(one.done is None or 0 <= one.done <= 1 for one in arrived.news)
    assert "4 files of commit 0123456, 2.1 MB to fetch" in [one.detail for one in arrived.news]
    assert hub_cache.commit_of(arrived.folder) == COMMIT


def test_only_what_a_model_needs_is_fetched(arrived: SimpleNamespace) -> None:
    """No code, no pickles, and every number once: Mistral's repos hold all weights twice."""
    folder, asked = arrived.folder, arrived.hub.asked
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == NEEDED
    sent = {path.split("/", 3)[3] for path in asked if path.startswith("GET whole/resolve")}
    assert sent == NEEDED | {"model.safetensors header"}
    assert arrived.hub.weights_sent() == 1


def test_the_download_process_shows_the_token(arrived: SimpleNamespace) -> None:
    assert arrived.hub.tokens == {f"Bearer {TOKEN}"}


def test_what_killed_processes_left_behind_is_swept(arrived: SimpleNamespace) -> None:
    """After an hour: younger parts may be somebody's. Nothing ever removed them."""
    assert [p.name[0] for p in blobs("whole").glob("*.incomplete")] == ["b"]


def test_shards_are_those_that_the_index_names(
    downloads: Downloads, tmp_path: Path, repo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(repo_folder, tmp_path / "shards"))
    (folder / "model.safetensors").rename(folder / "part-a.safetensors")
    shutil.copy(folder / "part-a.safetensors", folder / "unused.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"x": "part-a.safetensors"}}')
    with hub_stand_in(folder) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        found = fetch(downloads, "shards")
        assert {p.name for p in found.glob("*.safetensors")} == {"part-a.safetensors"}
        index.write_text('{"weight_map": {"x": "part-b.safetensors"}}')
        with pytest.raises(PlaygroundError, match="part-b.safetensors") as caught:
            fetch(downloads, "shards-gone")
        assert caught.value.problem.code == ModelInvalid.code and hub.weights_sent() == 1


def test_an_adapter_is_fetched_without_a_model(
    downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its repo holds what training left in folders, too, and sometimes pickles beside it."""
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    written(tmp_path, {"lora_A.weight": ("F32", [4, 4])}, "adapter_model")
    (tmp_path / "training_args.bin").write_bytes(b"a pickle")
    (tmp_path / "checkpoint-10").mkdir()
    written(tmp_path / "checkpoint-10", {}, "adapter_model")
    with hub_stand_in(tmp_path) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        folder = fetch(downloads, "adapter")
    assert {p.name for p in folder.iterdir()} == {"adapter_config.json",
                                                  "adapter_model.safetensors"}
    assert snapshot("stand-in/adapter") == folder


def test_what_a_repo_asks_for_is_refused_before_its_weights_come(
    downloads: Downloads, tmp_path: Path, repo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(repo_folder, tmp_path / "unsafe"))
    config = json.loads((folder / "config.json").read_text())
    with hub_stand_in(folder) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        (folder / "config.json").write_text(
            json.dumps(config | {"_attn_implementation": "attacker/kernel"}))
        with pytest.raises(PlaygroundError, match="_attn_implementation") as caught:
            fetch(downloads, "unsafe1")
        assert caught.value.problem.code == ModelUnsafe.code
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "tokenizer_config.json").write_text('{"trust_remote_code": true}')
        with pytest.raises(PlaygroundError, match="tokenizer_config.json"):
            fetch(downloads, "unsafe2")
        assert hub.weights_sent() == 0


# Sizes before bytes


def test_the_repo_is_told_before_its_weights_come(hub: HubStandIn, downloads: Downloads) -> None:
    """With what they count, from a range request for their header; whoever asks may refuse."""
    seen: list[Repo] = []

    def admit(repo: Repo) -> None:
        seen.append(repo)
        assert hub.weights_sent() == 0
        need = footprint.of(repo.weights, repo.config, ModelSpec(repo.repo))  # type: ignore[arg-type]
        raise footprint.too_big(ModelSpec(repo.repo), need.total, 10)

    with pytest.raises(ModelTooBig, match="needs about"):
        fetch(downloads, "refused", admit=admit)
    time.sleep(0.5)
    assert hub.weights_sent() == 0
    repo, = seen
    assert (repo.commit, repo.files, repo.gated, repo.licence) == (COMMIT, 4, False, "apache-2.0")
    assert repo.bytes > 2_000_000 and repo.missing == repo.bytes - len(json.dumps(repo.config))
    assert repo.weights and repo.weights.parameters == 64 * 128 + 100 * 64
    assert repo.weights.linear == 64 * 128


def test_a_look_fetches_no_weights(hub: HubStandIn, downloads: Downloads) -> None:
    repo = downloads.look(HubId("stand-in/looked-at"), None, lambda: False)
    assert repo.weights and repo.weights.parameters == 64 * 128 + 100 * 64
    assert hub.weights_sent() == 0 and snapshot("stand-in/looked-at") is None


def test_a_disk_that_is_too_small_is_told_before_bytes(
    hub: HubStandIn, tmp_path: Path, repo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching = _fetching(tmp_path, repo_folder, monkeypatch)
    free = SimpleNamespace(free=1_000_000)
    monkeypatch.setattr(hub_files.shutil, "disk_usage", lambda _: free)
    with pytest.raises(ModelTooBig, match=r"another 2.1 MB of disk; 1.0 MB are free") as caught:
        fetching.check_disk()
    assert caught.value.problem.advice and hub.weights_sent() == 0


def test_a_disk_that_fills_up_says_what_is_missing_and_keeps_no_part(
    hub: HubStandIn, tmp_path: Path, repo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only warned of by the client, huggingface_hub#2742."""
    fetching = _fetching(tmp_path, repo_folder, monkeypatch)

    def fills_up(_: str, opened: Any, **__: Any) -> None:
        opened.write(b"x" * 1000)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub_files, "http_get", fills_up)
    with pytest.raises(ModelTooBig, match=r"The disk is full: .* needs another .* are free"):
        fetching.bring(["model.safetensors"])
    assert not list(fetching.blob("model.safetensors").parent.glob("*.incomplete"))


def _fetching(
    tmp_path: Path, repo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> hub_files.Fetching:
    """The child's own work, in this process."""
    from huggingface_hub.hf_api import RepoSibling

    from tests.hub_stand_in import told

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    files = {}
    for name in NEEDED:
        about = told(repo_folder / name)
        lfs = SimpleNamespace(**about["lfs"]) if "lfs" in about else None
        files[name] = RepoSibling(rfilename=name, size=about["size"], blob_id=about["blobId"],
                                  lfs=lfs)  # type: ignore[arg-type]
    found = hub_files.Fetching(lambda **_: None, "stand-in/disk", COMMIT, None, files)
    found.needed = sorted(NEEDED)
    return found


@pytest.mark.parametrize(
    ("seen", "detail"),
    [
        ([(0.0, 0), (10.0, 50_000_000)], "50 MB of 950 MB, 5.0 MB/s, 3 min left"),
        ([(0.0, 900_000_000), (10.0, 910_000_000)], "910 MB of 950 MB, 1.0 MB/s, 40 s left"),
        # What came before the last 15 s is no measure of now.
        ([(0.0, 0), (90.0, 500_000_000), (100.0, 510_000_000)],
         "510 MB of 950 MB, 1.0 MB/s, 7 min left"),
        ([(0.0, 5_000_000)], "5.0 MB of 950 MB"),
    ],
)
def test_speed_and_time_left_are_of_the_last_seconds(
    seen: list[tuple[float, int]], detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Pace()
    for now, done in seen:
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        said = pace.progress(done, 950_000_000)
    assert said.detail == detail
    assert said.done == pytest.approx(seen[-1][1] / 950_000_000)


# The disk first, and a newer commit


def test_a_model_on_the_disk_loads_while_the_hub_is_down(
    arrived: SimpleNamespace, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch(downloads, "whole") == arrived.folder


def test_a_hub_that_does_not_answer_delays_nobody(arrived: SimpleNamespace) -> None:
    """The client tried for 40 to 60 s, even with everything on the disk."""
    folder, news = copied(arrived, "headless"), list[Loading]()
    assert fetch(Downloads(asking=0.5), "headless", news) == folder
    assert [one.detail for one in news] == ["asking the Hub for a newer commit"]


def test_a_newer_commit_is_fetched_once_and_then_kept(
    arrived: SimpleNamespace, hub: HubStandIn, downloads: Downloads
) -> None:
    """Between two starts of the app a branch may move; while it runs, a model stays what it is."""
    old, hub.commit = copied(arrived, "moves"), NEWER
    new = fetch(downloads, "moves")
    assert (hub_cache.commit_of(old), hub_cache.commit_of(new)) == (COMMIT, NEWER)
    assert hub.weights_sent() == 0, "what has not changed is not fetched again"
    asked = hub.asked.total()
    hub.commit = "e" * 40
    assert fetch(downloads, "moves") == new
    assert fetch(Downloads(), "moves", revision=COMMIT) == old, "the older one by its commit"
    assert hub.asked.total() == asked


def test_a_newer_commit_that_breaks_off_does_not_hide_the_whole_one(
    arrived: SimpleNamespace, repo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client points a branch at a commit before its files have come."""
    old = copied(arrived, "stalled-1")
    folder = Path(shutil.copytree(repo_folder, tmp_path / "newer"))
    (folder / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}" + bytes(1000))
    with hub_stand_in(folder) as changed:
        monkeypatch.setenv("HF_ENDPOINT", changed.url)
        changed.commit = NEWER
        assert fetch(Downloads(stalled=3.0, asking=60.0), "stalled-1") == old
        assert changed.weights_sent() == 1, "it was begun"
    assert snapshot("stand-in/stalled-1") == old


def test_a_half_fetched_model_is_not_taken_for_a_whole_one(
    arrived: SimpleNamespace, hub: HubStandIn, downloads: Downloads
) -> None:
    for name in ("tokenizer.json", "config.json"):
        (copied(arrived, f"half-{name}") / name).unlink()
        assert snapshot(f"stand-in/half-{name}") is None
    weights = copied(arrived, "half") / "model.safetensors"
    weights.resolve().write_bytes(b"cut off")
    assert snapshot("stand-in/half") is None
    assert (fetch(downloads, "half") / weights.name).stat().st_size > 2_000_000


def test_without_a_token_none_is_sent_that_lies_on_this_machine(
    hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub's client takes whichever it finds where it is given none."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch(Downloads(asking=60.0), "bare")
    assert hub.tokens == {""}


def test_offline_is_said_and_what_is_on_the_disk_loads(
    arrived: SimpleNamespace, hub: HubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(Downloads(), "whole") == arrived.folder
    for ask in (lambda: fetch(Downloads(), "never"),
                lambda: Downloads().look(HubId("stand-in/never"), None, lambda: False)):
        with pytest.raises(PlaygroundError, match="works offline") as caught:
            ask()
        assert caught.value.problem.code == "HUB" and caught.value.problem.advice
    assert not hub.asked


# Cuts, stalls, wrong bytes


@pytest.mark.parametrize("name", ["cut", "reset"])
def test_a_download_that_is_cut_goes_on_where_it_stopped(
    hub: HubStandIn, downloads: Downloads, repo_folder: Path, name: str
) -> None:
    """Whether its connection ends in good order or in bad; the client itself gives up on those."""
    folder = fetch(downloads, name)
    weights = (repo_folder / "model.safetensors").read_bytes()
    assert (folder / "model.safetensors").read_bytes() == weights
    first, second = hub.ranges
    assert first == "" and (name == "reset" or second == f"bytes={WHOLE // 2}-")
    assert second.startswith("bytes=")


def test_a_download_that_was_ended_goes_on_where_it_stopped(
    hub: HubStandIn, repo_folder: Path, downloads: Downloads
) -> None:
    """In another process, after Cancel or a stall; the client begins anew since 2.0."""

    def half_there() -> bool:
        return any(p.stat().st_size == WHOLE // 2 for p in blobs("slow").glob("*.incomplete"))

    with pytest.raises(PlaygroundError, match="Nobody waits"):
        fetch(downloads, "slow", given_up=half_there)
    eventually(lambda: not _processes())
    hub.open.set()
    news: list[Loading] = []
    folder = fetch(downloads, "slow", news)
    assert hub.ranges[-1] == f"bytes={WHOLE // 2}-"
    assert (folder / "model.safetensors").read_bytes() == (
        repo_folder / "model.safetensors").read_bytes()
    assert next(one.done for one in news if one.done) == pytest.approx(0.5, abs=0.01)
    assert not list(blobs("slow").glob("*.incomplete"))


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("odd", 10_000),
        pytest.param("no-range", 10_000, marks=pytest.mark.slow),
        pytest.param("long", 3_000_000, marks=pytest.mark.slow),
    ],
)
def test_a_part_with_other_bytes_is_found_by_its_checksum(
    arrived: SimpleNamespace, hub: HubStandIn, downloads: Downloads, name: str, length: int
) -> None:
    """Shorter than the file it is gone on with, and then found to be damaged; longer, or where the
    server sends all again, it is thrown away."""
    weights = (copied(arrived, name) / "model.safetensors").resolve()
    part = weights.with_name(weights.name + ".incomplete")
    weights.rename(part)
    part.write_bytes(b"?" * length)
    if name == "odd":
        with pytest.raises(PlaygroundError, match="model.safetensors .* arrived damaged"):
            fetch(downloads, name)
        assert not part.exists()
    found = fetch(downloads, name) / "model.safetensors"
    assert found.read_bytes() == (arrived.folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("name", "file", "tries"),
    [("damaged", "model.safetensors", 2), ("misread", "tokenizer.json", 1)],
)
def test_damaged_files_are_refused_and_fetched_anew(
    hub: HubStandIn, downloads: Downloads, name: str, file: str, tries: int
) -> None:
    """The client checks sizes only: damaged weights of the right size load and give nonsense."""
    for _ in range(tries):
        with pytest.raises(PlaygroundError, match=f"{file} of .* arrived damaged") as caught:
            fetch(downloads, name)
        assert caught.value.problem.code == ModelInvalid.code
    assert snapshot(f"stand-in/{name}") is None
    gets = [count for path, count in hub.asked.items() if path.startswith(f"GET {name}/resolve")
            and path.endswith(file)]
    assert gets == [tries]


@pytest.mark.parametrize(
    "name", ["stalled", *(pytest.param(n, marks=pytest.mark.slow) for n in ("silent", "headless"))]
)
def test_a_stalled_download_ends(hub: HubStandIn, name: str) -> None:
    """The client goes on trying for minutes when a body, or its header, does not come."""
    with pytest.raises(PlaygroundError, match="sent nothing for 4 s") as caught:
        fetch(Downloads(stalled=4.0), f"{name}1")
    assert caught.value.problem.code == "HUB" and "kept" in caught.value.problem.advice


@pytest.mark.slow
def test_a_connection_that_never_holds_is_a_sentence(hub: HubStandIn) -> None:
    with pytest.raises(PlaygroundError, match="cannot be reached|sent nothing") as caught:
        fetch(Downloads(stalled=20.0), "always-cut")
    assert caught.value.problem.code == "HUB"


# Many who ask


def _ask(
    downloads: Downloads, name: str, given_up: Callable[[], bool] = lambda: False, **more: Any
) -> tuple[threading.Thread, list[Any]]:
    """Somebody who asks on a thread of their own, and what they get."""
    got: list[Any] = []

    def ask() -> None:
        try:
            got.append(fetch(downloads, name, given_up=given_up, **more))
        except PlaygroundError as error:
            got.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, got


def _processes() -> list[int]:
    """The download processes of this process."""
    found = []
    for child in psutil.Process().children():
        try:
            if "playground.models.hub" in " ".join(child.cmdline()):
                found.append(child.pid)
        except psutil.Error:  # it may end while we look
            continue
    return found


def test_five_who_ask_share_one_download(hub: HubStandIn, downloads: Downloads) -> None:
    """Of five specs of one repo, say: two of these at once would write into one file."""
    asked = [_ask(downloads, "slow1") for _ in range(5)]
    eventually(lambda: bool(hub.ranges))
    assert len(_processes()) == 1
    hub.open.set()
    for thread, _ in asked:
        thread.join()
    assert len({str(got) for _, (got,) in asked}) == 1 and isinstance(asked[0][1][0], Path)
    assert hub.weights_sent() == 1


def test_one_who_gives_up_leaves_it_to_the_others_and_the_last_ends_it(
    hub: HubStandIn, downloads: Downloads
) -> None:
    gone = [threading.Event() for _ in range(2)]
    (first, got), (second, other) = [
        _ask(downloads, "slow2", event.is_set) for event in gone]
    eventually(lambda: bool(hub.ranges))
    gone[0].set()
    first.join()
    assert got[0].problem.code == "TIMEOUT" and second.is_alive() and len(_processes()) == 1
    gone[1].set()
    second.join()
    assert other[0].problem.code == "TIMEOUT"
    eventually(lambda: not _processes())


def test_whom_it_does_not_fit_leaves_it_to_whom_it_fits(
    hub: HubStandIn, downloads: Downloads
) -> None:
    """As bf16 it may be too big where it is not as nf4."""

    def refuse(repo: Repo) -> None:
        raise ModelTooBig("Too big for me.", given=repo.repo)

    asked = [_ask(downloads, "slow3", admit=refuse), _ask(downloads, "slow3")]
    eventually(lambda: bool(hub.ranges))
    asked[0][0].join()
    assert asked[0][1][0].problem.message == "Too big for me."
    hub.open.set()
    asked[1][0].join()
    assert isinstance(asked[1][1][0], Path) and hub.weights_sent() == 1


# What can go wrong, each in its own words


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("absent", "MODEL_NOT_FOUND", "no model"),
        ("private", "MODEL_NOT_FOUND", "private"),
        ("stranger", "HUB", "Log in anew"),
        ("hidden", "HUB", "gated"),
        ("disabled", "HUB", "disabled"),
        ("crowded", "HUB", "7 s"),
        ("broken", "HUB", "500"),
        ("away", "HUB", "503"),
        ("portal", "HUB", "not the Hub"),
        ("nobody", "HUB", "cannot be reached"),
        ("branches", "MODEL_NOT_FOUND", "no such branch, tag or commit"),
    ],
)
def test_each_failure_of_the_hub_is_its_own_sentence(
    hub: HubStandIn, name: str, code: str, word: str
) -> None:
    """Of what the real client raises when the download process asks it first."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
        api = HfApi(endpoint=dead if name == "nobody" else hub.url, token="hf_of_nobody")
        revision = "nowhere" if name == "branches" else None
        with pytest.raises(Exception) as caught:
            api.model_info(f"stand-in/{name}", revision=revision, files_metadata=True)
    problem = hub_faults.explained(caught.value, f"stand-in/{name}").problem
    assert problem.code == code
    assert word in str(problem)
    assert problem.field == ("revision" if revision else "model")
    assert problem.given == f"stand-in/{name}"
    assert problem.advice
    assert "Traceback" not in str(problem) and "127.0.0.1" not in str(problem)


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [("absent", "MODEL_NOT_FOUND", "no model"), ("pickled", "MODEL_UNSAFE", "no safetensors"),
     ("gated0", "HUB", "hf auth login")],
)
def test_a_failure_in_the_download_process_is_told_by_it(
    hub: HubStandIn, downloads: Downloads, name: str, code: str, word: str
) -> None:
    """A gated repo shows itself to everybody, and refuses its files."""
    with pytest.raises(PlaygroundError, match=word) as caught:
        fetch(downloads, name)
    assert (caught.value.problem.code, caught.value.problem.given) == (code, f"stand-in/{name}")


def test_a_gated_model_opens_to_whom_its_owner_lets_in(
    hub: HubStandIn, downloads: Downloads
) -> None:
    """Logged in and not let in yet, one is told to wait, not to log in."""
    assert fetch(downloads, "gated1", token=TOKEN).is_dir()
    with pytest.raises(PlaygroundError, match="gated") as caught:
        fetch(downloads, "gated2", token="hf_of_somebody_else")
    assert "wait until its owner" in caught.value.problem.advice


def test_a_cache_that_cannot_be_written_is_a_sentence(
    hub: HubStandIn, downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    with pytest.raises(PlaygroundError, match="cache .* cannot be written") as caught:
        fetch(downloads, "nowhere-to-put")
    assert "HF_HOME" in caught.value.problem.advice
    assert str(tmp_path) not in str(caught.value), "a path is not for every visitor"


def test_a_proxy_that_refuses_is_told_apart_from_a_hub_that_is_away() -> None:
    class ProxyError(Exception):
        """As every version of the HTTP library calls it."""

    said = str(hub_faults.explained(ProxyError("407 Proxy Authentication Required"), "a/b"))
    assert "proxy" in said and "HTTPS_PROXY" in said


# Which ids and folders


@pytest.mark.parametrize(
    "repo",
    ["a/b/c", "owner/na me", "https://huggingface.co/a/b", "..a/b", "a--b/c", "имя/модель",
     "x" * 200, "a/", "a/b/../c", "a/b?x=1", "a/b#c", "a/.b", "a/b.", "a/b@main", "a\\b",
     "%2e%2e/a", "a/b%00", "a/-b", "*/*", "a/b\u202e", "datasets/a/b", "a/b.git", "ａ/ｂ"],
)
def test_what_is_no_id_never_reaches_the_hub(repo: str) -> None:
    with pytest.raises((InvalidInput, ModelNotFound)) as caught:
        place(ModelSpec(repo), [], any_model=True)
    assert caught.value.problem.field == "model"
    with pytest.raises(InvalidInput, match="fixed list"):
        place(ModelSpec(repo), ["builtin/tiny-chat"], any_model=False)


def test_an_id_is_not_a_folder_of_the_same_name(
    tmp_path: Path, repo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / "model").symlink_to(repo_folder)
    monkeypatch.chdir(tmp_path)
    assert place(ModelSpec("me/model"), [], any_model=True) == HubId("me/model")
    assert place(ModelSpec("./me/model"), [], any_model=True) == tmp_path / "me/model"


def test_in_public_every_other_path_gets_the_same_answer(repo_folder: Path) -> None:
    """Whether a path exists on the machine is nobody's business."""
    said = set()
    for repo in (str(repo_folder), "/no/such/folder", "owner/other", "../x"):
        with pytest.raises(InvalidInput) as caught:
            place(ModelSpec(repo), ["builtin/tiny-chat"], any_model=False)
        said.add(str(caught.value))
    assert len(said) == 1


def test_in_public_a_model_is_offered_as_it_is() -> None:
    with pytest.raises(InvalidInput, match="revision"):
        place(ModelSpec("owner/name", revision="pr/1"), ["owner/name"], any_model=False)


def test_a_folder_without_a_model_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no such folder"):
        place(ModelSpec(str(tmp_path / "nowhere")), [], any_model=True)
    with pytest.raises(ModelInvalid, match="config.json"):
        place(ModelSpec(str(tmp_path)), [], any_model=True)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelUnsafe, match="safetensors"):
        place(ModelSpec(str(tmp_path)), [], any_model=True)
