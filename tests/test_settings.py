"""The laws of the settings: who wins, who is kept out, what no worker may see."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from playground.environment import children_inherit, hub_token, worker_environment
from playground.errors import InvalidInput
from playground.flags import FLAGS, flags_table, parser, settings_from
from playground.settings import LOCAL_LIMITS, Limits, Settings
from playground.spaces_yaml import DESCRIPTION, description


def _refused(argv: list[str], **environ: str) -> str:
    with pytest.raises(InvalidInput) as refused:
        settings_from(argv, environ)
    assert refused.value.problem.field
    return str(refused.value)


def test_a_start_without_flags_is_local_and_closed_to_the_network() -> None:
    plain = settings_from([], {})
    assert plain == Settings()
    assert (plain.mode, plain.host, plain.port, plain.share) == ("local", "127.0.0.1", 7860, False)
    assert plain.any_model and plain.auth is None
    assert plain.models == ("builtin/tiny-chat", "builtin/tiny-base")
    assert plain.offered == (*plain.models, "builtin/tiny-encoder"), "and it is no default"
    assert plain.limits == LOCAL_LIMITS
    assert pickle.loads(pickle.dumps(plain)) == plain


def test_a_flag_wins_over_the_environment_and_both_over_the_file() -> None:
    environ = {"GRADIO_SERVER_PORT": "7999", "GRADIO_SERVER_NAME": "::1"}
    assert settings_from([], environ).port == 7999
    assert settings_from([], environ).host == "::1"
    assert settings_from(["--port", "8000"], environ).port == 8000
    assert settings_from([], {}).idle_seconds == description()["idle_seconds"]
    assert settings_from(["--idle-minutes", "0.5"], {}).idle_seconds == 30.0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_this_machine_itself_needs_no_password(host: str) -> None:
    assert settings_from(["--host", host], {}).mode == "local"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.2", "example.org"])
def test_strangers_need_a_password_or_a_word_that_lets_them_in(host: str) -> None:
    assert "--password" in _refused(["--host", host])
    closed = settings_from(["--host", host, "--password", "s3cret", "--user", "me"], {})
    assert closed.mode == "shared" and closed.auth == ("me", "s3cret")
    assert settings_from(["--host", host, "--public"], {}).auth is None
    _refused(["--host", host, "--public", "--password", "x"])


def test_a_share_link_makes_up_a_password_each_time() -> None:
    one, two = (settings_from(["--share"], {}) for _ in range(2))
    assert one.mode == "shared" and one.share and one.host == "127.0.0.1"
    assert one.auth and two.auth and one.auth != two.auth and len(one.auth[1]) >= 12
    assert one.password_is_new
    given = settings_from(["--share"], {"PLAYGROUND_PASSWORD": "word"})
    assert given.auth == ("guest", "word") and not given.password_is_new
    assert settings_from(["--share", "--public"], {}).auth is None
    assert settings_from([], {"GRADIO_SHARE": "True"}).share


def test_a_password_is_not_printed_with_the_settings() -> None:
    assert "s3cret" not in repr(settings_from(["--password", "s3cret"], {}))


@pytest.mark.parametrize("argv", [["--share"], ["--host", "0.0.0.0", "--public"]])
def test_in_public_only_offered_models_and_smaller_limits(argv: list[str]) -> None:
    shared = settings_from(argv, {})
    assert not shared.any_model
    assert shared.limits.new_tokens == 512 and shared.limits.seconds == 60
    assert shared.limits.beams == 4 and shared.limits.prompt_characters == 16_000


def test_a_space_is_known_by_its_id() -> None:
    space = settings_from([], {"SPACE_ID": "owner/name", "GRADIO_SHARE": "1"})
    assert (space.mode, space.host, space.share) == ("space", "0.0.0.0", False)
    assert not space.any_model and space.auth is None


def test_a_model_of_ones_own_is_offered_first() -> None:
    own = settings_from(["--model", "a/b", "--model", "builtin/tiny-base"], {})
    assert own.models == ("a/b", "builtin/tiny-base", "builtin/tiny-chat")
    assert own.default_model == "a/b"


def test_a_model_that_only_reads_is_looked_into_and_no_tab_begins_with_it() -> None:
    """The first of --model is what Chat starts with, and an encoder refused every message there."""
    own = settings_from(["--model", "some/bert", "--model", "a/b"], {})
    sorted_ = own.with_encoders(["some/bert"])
    assert sorted_.models == ("a/b", "builtin/tiny-chat", "builtin/tiny-base")
    assert sorted_.encoders == ("some/bert", "builtin/tiny-encoder")
    assert set(sorted_.offered) == set(own.offered) and own.with_encoders([]) == own
    with pytest.raises(InvalidInput, match="No offered model writes text: some/bert"):
        Settings(models=("some/bert",)).with_encoders(["some/bert"])


@pytest.mark.parametrize(
    ("size", "expected"),
    [("8GB", 8 * 10**9), ("8 gb", 8 * 10**9), ("512MiB", 2**29), ("1.5g", 15 * 10**8),
     ("123", 123)],
)
def test_a_size_is_read_as_people_write_it(size: str, expected: int) -> None:
    assert settings_from(["--memory", size], {}).memory_bytes == expected


@pytest.mark.parametrize(
    "argv",
    [["--port", "0"], ["--port", "65536"], ["--port", "x"], ["--port", "-1"], ["--port", "٣"],
     ["--memory", "8XB"], ["--memory", "0"], ["--memory", "-1GB"], ["--memory", "nan"],
     ["--device", "tpu"], ["--device", "cuda:"], ["--idle-minutes", "0"],
     ["--idle-minutes", "nan"], ["--idle-minutes", "inf"], ["--idle-minutes", "x"],
     ["--nonsense"], ["--por", "1"], ["--port"], ["stray"]],
)
def test_nonsense_on_the_command_line_is_a_sentence(argv: list[str]) -> None:
    sentence = _refused(argv)
    assert sentence.endswith(".") and "Traceback" not in sentence


def test_a_port_in_the_environment_is_checked_too() -> None:
    assert "'many'" in _refused([], GRADIO_SERVER_PORT="many")


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8", None, float("nan")])
def test_a_limit_is_a_whole_number(value: object) -> None:
    whole = {name: getattr(LOCAL_LIMITS, name) for name in Limits.__slots__}
    with pytest.raises(InvalidInput, match="beams"):
        Limits(**{**whole, "beams": value})


@pytest.mark.parametrize(
    "broken",
    [{"models": []}, {"models": "a/b"}, {"models": [1]}, {"limits": {}}, {"idle_seconds": "soon"},
     {"limits": {"local": {}, "shared": {}, "space": {}}}, {"idle_seconds": True}],
)
def test_a_broken_description_names_the_place(tmp_path: Path, broken: dict[str, object]) -> None:
    path = tmp_path / "spaces.yaml"
    path.write_text(yaml.safe_dump({**description(), **broken}))
    with pytest.raises(InvalidInput) as refused:
        settings_from([], {}, path)
    assert next(iter(broken)) in str(refused.value)


@pytest.mark.parametrize("text", [None, "a: [", "- a\n- b\n", ""])
def test_a_description_that_is_none_is_a_sentence(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "spaces.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidInput, match="spaces.yaml"):
        description(path)


def test_every_flag_is_parsed_and_told() -> None:
    known = {option for action in parser()._actions for option in action.option_strings}
    assert known == {flag.name for flag in FLAGS} | {"-h", "--help"}
    assert all(f"| `{flag.name}" in flags_table() for flag in FLAGS)
    assert not [flag for flag in FLAGS if not flag.help.endswith(".")]


def test_help_tells_of_each_flag_what_the_readme_tells() -> None:
    told = " ".join(parser().format_help().split())
    for flag in FLAGS:
        parts = [flag.name, *flag.help.split(". "), flag.default, flag.variable]
        assert [part for part in parts if part not in told] == []


def test_offline_is_a_flag_and_a_variable() -> None:
    assert not settings_from([], {}).offline
    assert settings_from(["--offline"], {}).offline
    assert settings_from([], {"HF_HUB_OFFLINE": "1"}).offline


SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY",
           "PLAYGROUND_PASSWORD", "my_secret", "GOOGLE_APPLICATION_CREDENTIALS", "Token")


def test_a_worker_sees_no_secret_and_no_way_to_the_hub() -> None:
    given = {**dict.fromkeys(SECRETS, "s3cret"), "PATH": "/bin", "CUDA_VISIBLE_DEVICES": "1"}
    seen = worker_environment(given)
    assert "s3cret" not in seen.values()
    assert (seen["PATH"], seen["CUDA_VISIBLE_DEVICES"]) == ("/bin", "1")
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert not Path(seen["HF_TOKEN_PATH"]).read_text()


def test_children_inherit_what_they_are_given_and_we_keep_our_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "s3cret")
    before = dict(os.environ)
    tell = [sys.executable, "-c", "import os; print(os.environ.get('HF_TOKEN'))"]
    with children_inherit(worker_environment()):
        assert subprocess.run(tell, capture_output=True, text=True).stdout == "None\n"
    assert dict(os.environ) == before
    with pytest.raises(KeyError), children_inherit({}):
        raise KeyError
    assert dict(os.environ) == before


def test_the_hub_token_is_found_where_the_hub_keeps_it(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert hub_token(home) is None
    stored = tmp_path / ".cache" / "huggingface" / "token"
    stored.parent.mkdir(parents=True)
    stored.write_text("hf_stored\n")
    assert hub_token(home) == "hf_stored"
    assert hub_token({**home, "HF_TOKEN": " hf_given "}) == "hf_given"
    assert hub_token({**home, "HF_HOME": str(tmp_path / "elsewhere")}) is None
    stored.write_text(" ")
    assert hub_token(home) is None


def test_telemetry_is_off_before_gradio_and_the_hub_are_imported() -> None:
    script = (
        "from playground.environment import prepare_environment; prepare_environment();"
        "import huggingface_hub.constants as hub, gradio.analytics as analytics;"
        "print(hub.HF_HUB_DISABLE_TELEMETRY, analytics.analytics_enabled())"
    )
    told = subprocess.run([sys.executable, "-c", script], cwd=DESCRIPTION.parent, text=True,
                          env={"PATH": os.environ["PATH"], "HOME": os.environ["HF_HOME"]},
                          capture_output=True, check=False)
    assert told.stdout.strip() == "True False", told.stderr


def test_offline_is_told_to_the_hubs_client_before_it_is_imported() -> None:
    script = (
        "import app; app.go_offline(); import huggingface_hub.constants as hub;"
        "print(hub.is_offline_mode())"
    )
    told = subprocess.run([sys.executable, "-c", script], cwd=DESCRIPTION.parent, text=True,
                          env={"PATH": os.environ["PATH"], "HOME": os.environ["HF_HOME"]},
                          capture_output=True, check=False)
    assert told.stdout.strip() == "True", told.stderr


@pytest.mark.parametrize(("platform", "environ", "folder"), [
    ("linux", {"HOME": "/home/me"}, "/home/me/.local/share/token-by-token"),
    ("linux", {"HOME": "/home/me", "XDG_DATA_HOME": "/big"}, "/big/token-by-token"),
    ("linux", {"HOME": "/home/me", "XDG_DATA_HOME": "rel"}, "/home/me/.local/share/token-by-token"),
    ("darwin", {"HOME": "/Users/me"}, "/Users/me/Library/Application Support/token-by-token"),
    ("win32", {"LOCALAPPDATA": "/c/me/Local"}, "/c/me/Local/token-by-token"),
    ("win32", {"USERPROFILE": "/c/me"}, "/c/me/AppData/Local/token-by-token"),
    ("linux", {}, None),
    ("linux", {"HOME": "/home/me", "PLAYGROUND_DATA": "/kept"}, "/kept"),
])
def test_on_this_machine_runs_are_kept_in_the_users_own_folder(
    platform: str, environ: dict[str, str], folder: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert settings_from([], environ).data == (Path(folder) if folder else None)
    assert settings_from(["--data", "/mine"], environ).data == Path("/mine")


def test_in_public_runs_are_kept_for_the_visit_unless_a_volume_is_mounted(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever shares an app for an hour must not find a week of strangers' prompts on the disk."""
    home = {"HOME": "/home/me"}
    assert settings_from(["--share"], home).data is None
    assert settings_from(["--host", "0.0.0.0", "--public"], home).data is None
    assert settings_from([], {**home, "SPACE_ID": "owner/name"}).data is None
    monkeypatch.setattr(os.path, "ismount", lambda path: path == description()["data"] == "/data")
    mounted = settings_from([], {**home, "SPACE_ID": "owner/name"})
    assert mounted.data == Path("/data/token-by-token")
    assert settings_from(["--share"], home).data is None
    assert settings_from(["--share", "--data", "/mine"], home).data == Path("/mine")


def test_a_volume_without_a_full_path_is_refused(tmp_path: Path) -> None:
    written = tmp_path / "spaces.yaml"
    for wrong in ("here", 5):
        written.write_text(yaml.safe_dump({**description(), "data": wrong}))
        with pytest.raises(InvalidInput, match="full path"):
            settings_from([], {"SPACE_ID": "owner/name"}, written)


def test_programs_are_served_on_this_machine_and_in_public_when_it_is_said() -> None:
    assert settings_from([], {}).api and settings_from([], {}).api_keys == ()
    closed = settings_from(["--share"], {})
    assert not closed.api and closed.api_keys == () and not closed.mcp
    one, two = (settings_from(["--share", "--api"], {}) for _ in range(2))
    assert one.api and one.api_key_is_new and len(one.api_keys[0]) >= 32
    assert one.api_keys != two.api_keys and one.api_keys[0] not in repr(one)
    given = {"PLAYGROUND_API_KEYS": f" {'k' * 16}, {'l' * 16},,"}
    told = settings_from(["--share", "--api"], given)
    assert told.api_keys == ("k" * 16, "l" * 16) and not told.api_key_is_new
    assert settings_from([], given).api_keys == told.api_keys, "then it asks for one here too"
    assert "PLAYGROUND_API_KEYS" not in worker_environment(given)


def test_tools_alone_need_a_key_in_public_too(tmp_path: Path) -> None:
    assert settings_from(["--share", "--mcp"], {}).api_keys
    told = yaml.safe_load(DESCRIPTION.read_text()) | {"api": True}
    described = tmp_path / "spaces.yaml"
    described.write_text(yaml.safe_dump(told))
    space = settings_from([], {"SPACE_ID": "owner/name"}, described)
    assert space.api and space.api_keys and not space.mcp


@pytest.mark.parametrize("keys", ["short", "k" * 15, "k" * 201, f"{'k' * 16},x", "k" * 16 + "é"])
def test_a_key_that_can_be_guessed_is_refused_and_not_told(keys: str) -> None:
    said = _refused(["--api"], PLAYGROUND_API_KEYS=keys)
    assert "16 to 200" in said and keys not in said


def test_tools_without_their_package_are_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.flags.find_spec", lambda name: None)
    assert "gradio[mcp]" in _refused(["--mcp"])


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_a_switch_of_spaces_yaml_is_true_or_false(value: object, tmp_path: Path) -> None:
    described = tmp_path / "spaces.yaml"
    described.write_text(yaml.safe_dump(yaml.safe_load(DESCRIPTION.read_text()) | {"api": value}))
    with pytest.raises(InvalidInput, match="true or false"):
        settings_from([], {}, described)
