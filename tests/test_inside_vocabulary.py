"""The vocabulary as pages, and one token of it: small answers, whatever is asked of whatever."""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from playground.core.run import ModelSpec
from playground.core.visitor import Visitor
from playground.core.vocabulary import TokenFound, TokenRequest, VocabularyRequest
from playground.errors import InvalidInput, Problem
from playground.inside import vocabulary as room
from playground.inside.inspector import Inspector
from playground.inside.scripts import script_of
from playground.models.loading import Model, load
from playground.models.pieces import Pieces, pieces_of
from playground.ui.section import Subject
from playground.ui.vocabulary_section import asks, questions, show
from tests.tiny_models import metaspace_tokenizer, tiny_model

ANN = Visitor("ann", "192.0.2.1")

SIZE = 150_000
FOLDER = "playground/models/builtin/tiny-chat"


def _ask(inspector: Inspector, request: Any) -> tuple[Any, int]:
    """What is found, and in how many pieces of work."""
    inspector.join(0, request)
    for pieces in itertools.count(1):
        if (told := inspector.step()) is not None:
            return told[1], pieces
    raise AssertionError


def _found(inspector: Inspector, request: Any) -> Any:
    return _ask(inspector, request)[0]


@pytest.fixture(scope="module")
def builtin(root: Path) -> Inspector:
    """Looks into the tiny chat model, with its tokenizer of 4096 tokens."""
    return Inspector(load(ModelSpec("builtin/tiny-chat"), root / FOLDER, "cpu"))


@pytest.fixture(scope="module")
def large() -> Inspector:
    """Looks into a model with 150,000 rows, of which the last ten have no token."""
    vocabulary = {c: n for n, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = []
    letters = "abcdefghijklmnopqrst"
    for word in itertools.chain.from_iterable(
        map("".join, itertools.product(letters, repeat=size)) for size in (2, 3, 4)
    ):
        if len(vocabulary) == SIZE - 10:
            break
        vocabulary[word] = len(vocabulary)
        merges.append((word[:-1], word[-1]))
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.decoder = decoders.ByteLevel()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    table = torch.nn.Embedding(SIZE, 8)
    return Inspector(_model(PreTrainedTokenizerFast(tokenizer_object=backend), table))


def _model(tokenizer: Any, table: torch.nn.Embedding | None = None) -> Model:
    tiny = tiny_model()
    if table is None:
        return replace(tiny, tokenizer=tokenizer)
    lm = SimpleNamespace(get_input_embeddings=lambda: table)
    card = replace(tiny.card, vocabulary=len(table.weight))
    return replace(tiny, tokenizer=tokenizer, lm=lm, card=card)


def test_a_page_of_150_000_tokens_is_small_and_decoded_once(
    large: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    plain = Pieces.data_of

    def counted(self: Pieces, id: int, name: str | None) -> bytes:
        decoded.append(id)
        return plain(self, id, name)

    monkeypatch.setattr(Pieces, "data_of", counted)
    page, pieces = _ask(large, VocabularyRequest())
    assert len(decoded) == SIZE and pieces > SIZE / 4000  # no piece decodes more than 4000
    assert (page.size, page.matching, len(page.rows)) == (SIZE, SIZE, 100)
    assert len(pickle.dumps(page)) < 10_000
    decoded.clear()
    last, pieces = _ask(large, VocabularyRequest(start=SIZE - 50, count=200))
    assert (len(last.rows), pieces, decoded) == (50, 1, [])
    assert [row.kinds for row in last.rows[-11:]] == [("text",), *[("unused",)] * 10]
    assert len(pickle.dumps(last)) < 10_000


def test_a_filter_of_150_000_tokens_is_worked_through_once_and_in_parts(large: Inspector) -> None:
    asked = VocabularyRequest(pattern="^(a+)+[b-d]$")
    page, pieces = _ask(large, asked)
    assert {row.piece.text for row in page.rows} == {
        a + c for a in ("a", "aa", "aaa") for c in "bcd"
    }
    assert page.matching == 9 and pieces > SIZE / 20_000
    assert _ask(large, replace(asked, start=5)) == (replace(page, start=5, rows=page.rows[5:]), 1)


def test_only_the_latest_filters_are_kept(builtin: Inspector) -> None:
    for number in range(20):
        _found(builtin, VocabularyRequest(find="a", longest=number + 1))
    kept: room.Vocabulary = builtin._subject.kept["vocabulary"]
    assert len(kept.found) == 8 and len(kept.texts) == 4096


def test_who_decodes_beside_waits_for_smaller_parts(large: Inspector) -> None:
    _ask(large, VocabularyRequest(find="xyz"))  # every token is decoded once, whoever asks first
    alone = _ask(large, VocabularyRequest(find="abc"))[1]
    large.join(0, VocabularyRequest(find="bcd"))
    beside = 1
    while large.step(beside=True) is None:
        beside += 1
    assert beside > 3 * alone


def test_all_pages_together_are_the_vocabulary(builtin: Inspector) -> None:
    pieces = pieces_of(builtin._subject.model.tokenizer)
    rows = [row for start in range(0, 4096, 200)
            for row in _found(builtin, VocabularyRequest(start=start, count=200)).rows]
    assert [row.piece for row in rows] == [pieces[id] for id in range(4096)]
    assert all(row.bytes == len(pieces.data(row.piece.id)) for row in rows)


def test_a_space_counts_in_a_search(builtin: Inspector) -> None:
    def texts(**asked: Any) -> list[str]:
        page = _found(builtin, VocabularyRequest(**asked))
        return [row.piece.text for row in page.rows]

    assert texts(find=" Paris") == [" Paris"]
    assert {"aris", " Paris"} <= set(texts(find="aris"))
    assert texts(find="PARIS") == texts(find="paris") and texts(find="PARIS", match_case=True) == []
    longest = texts(sort="characters", descending=True, count=20)
    assert [len(text) for text in longest] == sorted(map(len, longest), reverse=True)
    assert all(len(text) == 2 for text in texts(shortest=2, longest=2, kind="text"))
    assert all(len(text.encode()) == 6 for text in texts(shortest=6, longest=6, unit="bytes",
                                                         kind="text"))


def test_every_script_and_kind_counts_what_it_finds(builtin: Inspector) -> None:
    page = _found(builtin, VocabularyRequest())
    assert sum(count for _, count in page.scripts) == 4096
    for name, count in page.scripts:
        assert _found(builtin, VocabularyRequest(script=name)).matching == count
    for kind, count in page.kinds:
        assert _found(builtin, VocabularyRequest(kind=kind)).matching == count  # type: ignore[arg-type]
    special = _found(builtin, VocabularyRequest(kind="special"))
    names = [row.piece.text for row in special.rows]
    assert names == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@pytest.mark.parametrize(("text", "script"), [
    (" Paris", "Latin"), ("the", "Latin"), ("é", "Latin"), ("cafe\u0301", "Latin"),
    ("法国", "Han"),
    ("Привет", "Cyrillic"), (" سلام", "Arabic"), ("שלום", "Hebrew"), ("नमस्ते", "Devanagari"),
    ("かな", "Hiragana"), ("カナ", "Katakana"), ("한국", "Hangul"), (" 12", "Digits"),
    ("½", "Digits"),
    (" ...", "Punctuation"), ("+=", "Symbols"), ("👍🏽", "Symbols"), ("  \n", "Spaces"),
    ("don't", "Mixed"), ("x法", "Mixed"), ("a1", "Mixed"),
])
def test_a_text_has_the_script_of_all_its_characters(text: str, script: str) -> None:
    assert script_of(text) == script


@pytest.mark.parametrize("pattern", [
    "(a", "(?=a)b", r"(a)\1", "(?:(?:a{1000}){1000}){1000}", "[", "a{2000}",
])
def test_a_pattern_that_cannot_be_searched_for_in_linear_time_is_refused(
    builtin: Inspector, pattern: str
) -> None:
    """The third-party ``regex`` unrolled a{1000} in a{1000} in a{1000} until the process ended."""
    refused = _found(builtin, VocabularyRequest(pattern=pattern))
    assert isinstance(refused, Problem) and refused.field == "pattern"
    assert refused.message.startswith("The pattern cannot be read: ")


def test_byte_tokens_are_known_in_both_ways_of_writing_them() -> None:
    inspector = Inspector(_model(metaspace_tokenizer()))
    page = _found(inspector, VocabularyRequest(kind="bytes"))
    assert page.matching == 256
    page = _found(inspector, VocabularyRequest(kind="unused"))
    assert page.matching == page.size - len(metaspace_tokenizer())


def test_the_merges_are_those_of_the_file(builtin: Inspector, root: Path) -> None:
    merges = json.loads((root / FOLDER / "tokenizer.json").read_text("utf-8"))["model"]["merges"]
    ids = builtin._subject.model.tokenizer.convert_tokens_to_ids
    paris: TokenFound = _found(builtin, TokenRequest(ids("ĠParis")))
    assert [m.made.text for m in paris.merges] == ["ar", "is", " P", "aris", " Paris"]
    for merge in paris.merges:
        assert merge.left.text + merge.right.text == merge.made.text
        assert list(map(ids, merges[merge.rank])) == [merge.left.id, merge.right.id]
    assert [piece.text for piece in paris.alone] == [" Paris"] and paris.name == "ĠParis"
    letter = _found(builtin, TokenRequest(ids("a")))
    assert not letter.merges and "all merges start from" in letter.made
    assert "added" in _found(builtin, TokenRequest(0)).made


def test_every_merge_is_found_again(builtin: Inspector) -> None:
    """Whatever a token is made of spells it, from the first token to the last."""
    for id in range(300, 4096, 97):
        found = _found(builtin, TokenRequest(id))
        assert found.merges and found.merges[-1].made.id == id
        ranks = [merge.rank for merge in found.merges]
        assert ranks == sorted(ranks)


def test_neighbours_are_those_of_the_whole_matrix(
    builtin: Inspector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playground.inside.token_card._NUMBERS", 1)  # 256 rows at once
    weight = builtin._subject.model.lm.get_input_embeddings().weight
    unit = torch.nn.functional.normalize(weight.float(), dim=1)
    for id in (0, 337, 4095):
        found: TokenFound = _found(builtin, TokenRequest(id))
        cosines = unit @ unit[id]
        cosines[id] = -2
        values, ids = cosines.topk(20)
        assert [piece.id for piece, _ in found.neighbours] == ids.tolist()
        assert [cosine for _, cosine in found.neighbours] == pytest.approx(values.tolist())
        assert found.norm == pytest.approx(float(weight[id].norm()))


def _unigram() -> PreTrainedTokenizerFast:
    words = [("<unk>", 0.0), ("▁a", -1.5), ("b", -2.25), ('"vocab":[', -9.0)]
    backend = Tokenizer(models.Unigram(words, unk_id=0))
    backend.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")


def _word_piece() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"))
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")


@pytest.mark.parametrize(("tokenizer", "id", "score", "says"), [
    (_unigram, 2, -2.25, "A Unigram vocabulary has no merges."),
    (_unigram, 3, -9.0, "A Unigram vocabulary has no merges."),
    (_word_piece, 1, None, "A WordPiece vocabulary has no merges."),
    (ByT5Tokenizer, 70, None, "This tokenizer is written in Python and does not tell how its "
                              "tokens were made."),
])
def test_where_there_are_no_merges_a_sentence_says_so(
    tokenizer: Any, id: int, score: float | None, says: str
) -> None:
    found = _found(Inspector(_model(tokenizer())), TokenRequest(id))
    assert (found.merges, found.made, found.score) == ((), says, score)


def test_a_model_without_a_matrix_has_no_neighbours() -> None:
    model = replace(tiny_model(), lm=SimpleNamespace(get_input_embeddings=lambda: None))
    found = _found(Inspector(model), TokenRequest(5))
    assert found.norm is None and found.neighbours == ()


class _Engine:
    """An engine with one model in memory, which answers from this process."""

    def __init__(self, inspector: Inspector) -> None:
        self.inspector = inspector
        self.specs = [SimpleNamespace(spec=ModelSpec("builtin/tiny-chat"), state="ready")]

    def models(self) -> list[Any]:
        """The one model."""
        return self.specs

    def inspect(self, spec: ModelSpec, request: Any, visitor: Visitor) -> Any:
        """What is found; raises InvalidInput."""
        assert visitor == ANN
        found = _found(self.inspector, request)
        if isinstance(found, Problem):
            raise InvalidInput(found.message, field=found.field)
        return found


@pytest.fixture
def asked(builtin: Inspector) -> Iterator[tuple[Any, Any, _Engine]]:
    """The two server functions, and the engine behind them."""
    engine = _Engine(builtin)
    stage: Any = SimpleNamespace(engine=engine, visitor=lambda request: request)
    rows, token = (partial(ask, request=ANN) for ask in questions(stage))  # type: ignore[arg-type]
    yield rows, token, engine


def test_a_browser_asks_for_rows_and_for_a_token(asked: Any) -> None:
    rows, token, _ = asked
    page = json.loads(rows({"model": "builtin/tiny-chat",
                            "query": {"find": " Paris", "start": 0, "count": 100}}))
    assert page == {"matching": 1, "start": 0,
                    "rows": [[2593, " Paris", 0, 6, 6, "Latin", ["text"]]]}
    card = json.loads(token({"model": "builtin/tiny-chat", "id": 2593}))
    assert card["merges"][-1][0] == 2334 and len(card["neighbours"]) == 20


@pytest.mark.parametrize("request_", [
    None, [], {}, {"model": 3}, {"model": "builtin/tiny-base", "query": {}},
    {"model": "builtin/tiny-chat"}, {"model": "builtin/tiny-chat", "query": {"count": 10**9}},
    {"model": "builtin/tiny-chat", "query": {"evil": 1}, "id": -1},
    {"model": "builtin/tiny-chat", "query": {"find": "\ud800"}, "id": "1"},
    {"model": "builtin/tiny-chat", "query": {"pattern": "a" * 201}, "id": 4096},
])
def test_whatever_a_browser_asks_it_gets_a_sentence(asked: Any, request_: Any) -> None:
    for question in asked[:2]:
        said = json.loads(question(request_))
        assert said["problem"].endswith(".") and "rows" not in said


def test_a_token_of_another_model_is_not_opened() -> None:
    subject = Subject(ModelSpec("builtin/tiny-chat"), None)
    assert [type(ask.request) for ask in asks(subject, ("7 builtin/tiny-chat",))] == [
        VocabularyRequest, TokenRequest]
    for opened in ("7 builtin/tiny-base", "", "x builtin/tiny-chat",
                   "1234567890123 builtin/tiny-chat"):
        assert [type(ask.request) for ask in asks(subject, (opened,))] == [VocabularyRequest]


def test_the_view_gets_the_first_page_and_the_token(builtin: Inspector) -> None:
    news = [_found(builtin, VocabularyRequest()), _found(builtin, TokenRequest(337))]
    found = json.loads(show(news))["found"]
    assert found["size"] == 4096 and len(found["page"]["rows"]) == 100
    assert found["token"]["row"][1] == " capital" and len(show(news)) < 12_000
