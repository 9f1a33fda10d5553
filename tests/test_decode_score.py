"""A score is the model's own numbers, however it is read: in chunks, in a batch, alone, whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from playground.core.decoding import Decoding
from playground.core.events import Step
from playground.core.prompt import Chat, Ids, Message, Raw
from playground.core.run import ModelSpec, Run
from playground.core.score import Contest, ContestRequest, Scored, ScoreOrContest, ScoreRequest
from playground.decode import score, teacher_forcing
from playground.decode.score import Scorer
from playground.errors import ContextOverflow, InvalidInput, PlaygroundError, Problem
from playground.models.loading import Model, assemble
from tests.architectures import LEFT_OUT, VARIANTS, tiny
from tests.reference import decode
from tests.tiny_models import (
    KINDS,
    UNICODE,
    byte_level_tokenizer,
    metaspace_tokenizer,
    tiny_lm,
    tiny_model,
)

TEXT = Raw("The capital of France is Paris. Once upon a time there was a small fox by the river.")
PROMPT = Raw("The capital of France is")
CLOSE = 1e-4


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model("llama")


def done(model: Model, *requests: ScoreOrContest) -> list[Any]:
    """What comes of requests, in the order in which they were made."""
    scorer = Scorer(model)
    for key, request in enumerate(requests):
        scorer.join(key, request)
    told: dict[int, Any] = {}
    while scorer.busy:
        if result := scorer.step():
            told[result[0]] = result[1]
    return [told[key] for key in range(len(requests))]


def scored(model: Model, request: ScoreRequest) -> Scored:
    (result,) = done(model, request)
    assert isinstance(result, Scored), result
    return result


def contest(model: Model, request: ContestRequest) -> Contest:
    (result,) = done(model, request)
    assert isinstance(result, Contest), result
    return result


def ids_of(made: Scored) -> tuple[int, ...]:
    return tuple(step.id for step in made.steps)


def context_of(made: Scored) -> tuple[int, ...]:
    return tuple(piece.id for piece in made.context)


def same(one: Sequence[Step], other: Sequence[Step]) -> bool:
    """Equal but for the last bits of their floats; ranks of equals within these may change."""
    for a, b in zip(one, other, strict=True):
        assert (a.id, a.text, a.piece, a.special) == (b.id, b.text, b.piece, b.special)
        assert a.logprob == pytest.approx(b.logprob, abs=CLOSE)
        assert a.entropy == pytest.approx(b.entropy, abs=CLOSE)
        assert a.rank == b.rank
        for c, d in zip(a.candidates, b.candidates, strict=True):
            assert c.logprob == pytest.approx(d.logprob, abs=CLOSE)
    return True


def in_lane(model: Model, lane: str) -> Model:
    return replace(model, card=replace(model.card, lane=lane))


@pytest.mark.parametrize("kind", KINDS)
def test_score_is_the_models_own_log_softmax(kind: str) -> None:
    """Against one plain forward: log-probability, rank, entropy, candidates."""
    model = tiny_model(kind)
    made = scored(model, ScoreRequest(TEXT, candidates=5))
    whole = torch.tensor([[*context_of(made), *ids_of(made)]])
    assert whole[0].tolist() == model.tokenizer(TEXT.text)["input_ids"]
    expected = torch.log_softmax(model.lm(input_ids=whole).logits[0, :-1].double(), dim=-1)
    for step, row in zip(made.steps, expected, strict=True):
        assert step.logprob == pytest.approx(float(row[step.id]), abs=CLOSE)
        assert step.probability == pytest.approx(math.exp(step.logprob))
        assert step.rank == 1 + int((row > row[step.id]).sum())
        assert step.entropy == pytest.approx(float(-(row.exp() * row).sum()), abs=CLOSE)
        assert [c.id for c in step.candidates] == row.topk(5).indices.tolist()
        assert step.candidates[0].logprob == pytest.approx(float(row.max()), abs=CLOSE)
    assert made.context[0].text + made.text == TEXT.text
    assert made.total_logprob == pytest.approx(
        float(expected.gather(1, whole[0, 1:, None]).sum()), abs=1e-3
    )


def bigrams(table: dict[tuple[int, int], float]) -> Model:
    """A real model whose next token hangs on the last one alone, with these probabilities.

    One-hot embeddings, a layer that adds nothing, and the table as the head; what a row of the
    table leaves is shared by all its other tokens.
    """
    tokenizer = byte_level_tokenizer()
    size = len(tokenizer)
    lm = tiny_lm(
        "llama", size, hidden_size=size, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, rms_norm_eps=1e-12,
    )
    rows = torch.full((size, size), 1 / size)
    for row in {one for one, _ in table}:
        given = {next: p for (one, next), p in table.items() if one == row}
        rows[row] = (1 - sum(given.values())) / (size - len(given))
        for next, p in given.items():
            rows[row, next] = p
    with torch.no_grad():
        lm.model.embed_tokens.weight.copy_(torch.eye(size))
        lm.model.layers[0].self_attn.o_proj.weight.zero_()
        lm.model.layers[0].mlp.down_proj.weight.zero_()
        # RMSNorm makes sqrt(size) of the one.
        lm.lm_head.weight.copy_(rows.log().T / size**0.5)
    return assemble(ModelSpec("tiny/bigrams"), lm, tokenizer)


def letters(text: str) -> tuple[int, ...]:
    tokenizer = byte_level_tokenizer()
    return tuple(tokenizer.convert_tokens_to_ids(list(text)))


def test_perplexity_by_hand() -> None:
    """P(b|a) = 1/2 and P(a|b) = 1/4: "babab" after its "a" has 1/2 · 1/4 · 1/2 · 1/4 · 1/2."""
    a, b = letters("ab")
    model = bigrams({(a, b): 0.5, (b, a): 0.25})
    made = scored(model, ScoreRequest(Ids((a, b, a, b, a, b)), candidates=1))
    assert [step.probability for step in made.steps] == pytest.approx([0.5, 0.25, 0.5, 0.25, 0.5])
    assert made.text == "babab" and [step.rank for step in made.steps] == [1] * 5
    assert made.total_logprob == pytest.approx(-7 * math.log(2), abs=CLOSE)
    assert made.perplexity == made.byte_perplexity == pytest.approx(2**1.4)
    assert made.bits_per_byte == pytest.approx(1.4)
    assert made.word_perplexity == pytest.approx(2**7, rel=CLOSE)


def test_a_contest_by_hand() -> None:
    """After "a" comes b with 1/2, c with 1/4; after the neutral "d", b with 1/2, c with 1/16.

    So b is likelier, and c is what "a" speaks for: ln 1/4 - ln 1/16 = ln 4 against ln 1 = 0.
    """
    a, b, c, d = letters("abcd")
    model = bigrams({(a, b): 0.5, (a, c): 0.25, (d, b): 0.5, (d, c): 0.0625})
    made = contest(model, ContestRequest(Ids((a,)), ("b", "c"), Ids((d,))))
    first, second = made.contenders
    assert first.score("total") == pytest.approx(math.log(1 / 2), abs=CLOSE)
    assert second.score("total") == pytest.approx(math.log(1 / 4), abs=CLOSE)
    assert first.score("pmi") == pytest.approx(0, abs=CLOSE)
    assert second.score("pmi") == pytest.approx(math.log(4), abs=CLOSE)
    assert made.winner("total") is first and made.winner("pmi") is second
    assert made.neutral[0].text == "d"


def chunked(patch: pytest.MonkeyPatch, tokens: int) -> None:
    patch.setattr(teacher_forcing, "CHUNK", tokens)


@pytest.mark.parametrize("kind", [*KINDS, "sliding"])
def test_chunks_do_not_matter(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sliding window of 8 is also crossed in the middle of a chunk."""
    model = tiny_model(kind) if kind in KINDS else tiny_model(
        "qwen2", use_sliding_window=True, sliding_window=8, layer_types=["sliding_attention"] * 2,
        max_window_layers=0,
    )
    behind = ScoreRequest(Raw(" Paris, or so they say at least in some old books"), PROMPT)
    whole = [scored(model, request) for request in (ScoreRequest(TEXT), behind)]
    for tokens in (3, 16):
        chunked(monkeypatch, tokens)
        for one, request in zip(whole, (ScoreRequest(TEXT), behind), strict=True):
            again = scored(model, request)
            assert same(one.steps, again.steps) and one.context == again.context


@pytest.mark.parametrize("lane", ("alone", "recompute"))
def test_the_lane_does_not_matter(model: Model, lane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ContestRequest(PROMPT, (" Paris.", " the river by the small fox", " a"))
    batch = contest(model, request)
    chunked(monkeypatch, 3)
    other = contest(in_lane(model, lane), request)
    for one, two in zip(batch.contenders, other.contenders, strict=True):
        assert same(one.scored.steps, two.scored.steps)
        assert one.neutral_logprob == pytest.approx(two.neutral_logprob, abs=CLOSE)
    text = ScoreRequest(TEXT)
    assert same(scored(model, text).steps, scored(in_lane(model, lane), text).steps)


def exact(model: Model, patch: pytest.MonkeyPatch, close: float = CLOSE) -> None:
    """The law of every architecture: whole, in chunks and behind a shared prompt, the score is that
    of plain forwards.
    """
    chunked(patch, 5)
    made = [scored(model, ScoreRequest(TEXT, candidates=1))]
    request = ContestRequest(PROMPT, (" Paris", " the small fox", " a"))
    made += [contender.scored for contender in contest(model, request).contenders]
    for one in made:
        expected = plain(model, one)
        assert [step.logprob for step in one.steps] == pytest.approx(expected, abs=close)


def of_kind(kind: str) -> Model:
    return assemble(ModelSpec(f"tiny/{kind}"), tiny(kind), byte_level_tokenizer())


@pytest.mark.parametrize(
    ("kind", "lane", "in_chunks", "sees_ahead"),
    [
        ("lfm2", "alone", True, False),
        ("jamba", "whole", False, False),
        ("cpmant", "recompute", False, True),
    ],
)
def test_every_model_is_read_in_a_way_it_can_take(
    kind: str, lane: str, in_chunks: bool, sees_ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LFM2 decodes alone, is read in chunks, and gives each continuation a copy of the prompt's
    cache. Jamba reads a second chunk as if it were the first, silently: a score was wrong by up to
    a nat. CPM-Ant reads in both directions: in one forward every token would know the next.
    """
    model = in_lane(of_kind(kind), lane)
    exact(model, monkeypatch)
    forcing = teacher_forcing.TeacherForcing(model)
    assert (forcing._in_chunks, forcing._sees_ahead) == (in_chunks, sees_ahead)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        k
        for k in (*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, *VARIANTS)
        # In one forward the first tokens of a long text are rotated as its last ones are.
        if k not in LEFT_OUT and not (k.startswith("phi") and "longer" in k)
    ],
)
def test_scores_are_exact_in_the_sweep(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nemotron-H itself gives logits by steps of one token that differ by some thousandths."""
    exact(of_kind(kind), monkeypatch, 0.02 if kind == "nemotron_h" else 1e-3)


def plain(model: Model, made: Scored) -> list[float]:
    """The log-probabilities of a scored text, each token's by a forward over all before it."""
    ids, first = [*context_of(made), *ids_of(made)], len(made.context)
    expected = []
    for place in range(first, len(ids)):
        text = torch.tensor([ids[:place]])
        logits = teacher_forcing.forward(model.lm, text, None, 0)[0, -1].double()
        expected.append(float(torch.log_softmax(logits, dim=-1)[ids[place]]))
    return expected


def test_greedy_runs_own_steps_are_the_score_of_its_text(model: Model) -> None:
    """Same ids, same context, so the same numbers: of a raw text and of an answer in a chat."""
    for prompt in (PROMPT, Chat((Message("user", "hello"),))):
        (trace,) = decode(model, [Run(model.spec, prompt, Decoding(max_new_tokens=20))])
        assert trace.started is not None
        request = ScoreRequest(Ids(trace.ids), Ids(trace.started.prompt_ids))
        made = scored(model, request)
        for ours, theirs in zip(made.steps, trace.steps, strict=True):
            assert (ours.id, ours.rank, ours.position) == (theirs.id, 1, theirs.position)
            assert ours.logprob == pytest.approx(theirs.logprob, abs=CLOSE)
            assert ours.entropy == pytest.approx(theirs.entropy, abs=CLOSE)
            assert [c.id for c in ours.candidates] == [c.id for c in theirs.candidates]
            assert ours.text == theirs.text
        assert made.text == trace.text


def test_a_contest_is_separate_scores(model: Model) -> None:
    texts = (" Paris.", " a", " the name of the poem, thank you", " Tokyo", " seven eight nine")
    made = contest(model, ContestRequest(PROMPT, texts, Raw("one two")))
    for text, contender in zip(texts, made.contenders, strict=True):
        alone = scored(model, ScoreRequest(Raw(text), PROMPT))
        assert same(contender.scored.steps, alone.steps) and contender.scored.text == text
        neutral = scored(model, ScoreRequest(Ids(ids_of(alone)), Raw("one two")))
        assert contender.neutral_logprob == pytest.approx(neutral.total_logprob, abs=CLOSE)
        assert contender.score("pmi") == pytest.approx(
            alone.total_logprob - neutral.total_logprob, abs=2 * CLOSE
        )
    totals = [contender.scored.total_logprob for contender in made.contenders]
    order = sorted(range(len(texts)), key=lambda i: -totals[i])
    assert [made.ranks("total")[i] for i in order] == list(range(1, len(texts) + 1))


def test_padding_does_not_matter(model: Model) -> None:
    """A short continuation beside one of forty tokens, in one forward, and beside a short one."""
    short, long = " Paris", " the small fox" * 10
    beside_long = contest(model, ContestRequest(PROMPT, (short, long)))
    beside_short = contest(model, ContestRequest(PROMPT, (short, " a")))
    first, second = beside_long.contenders[0].scored, beside_short.contenders[0].scored
    assert same(first.steps, second.steps)
    assert len(beside_long.contenders[1].scored.steps) > 3 * len(first.steps)


@contextmanager
def forwards(model: Model) -> Iterator[list[tuple[int, int]]]:
    """The shapes [rows, tokens] of the forwards that the block asks for."""
    shapes: list[tuple[int, int]] = []
    hook = model.lm.register_forward_hook(
        lambda _, args, kwargs, out: shapes.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    try:
        yield shapes
    finally:
        hook.remove()


def test_the_prompt_is_read_once_and_the_continuations_together(model: Model) -> None:
    with forwards(model) as shapes:
        made = contest(model, ContestRequest(PROMPT, (" Paris", " the river", " a"), Raw("one")))
    context = len(made.contenders[0].scored.context)
    longest = max(len(contender.scored.steps) for contender in made.contenders)
    # "one" is a single token, which each row reads itself: its cache is empty.
    assert shapes == [(1, context - 1), (3, longest), (3, longest)]


def test_logits_stay_within_their_budget(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty rows of up to twenty tokens, with room for the logits of ninety tokens at once."""
    texts = tuple(" fox" * n for n in range(1, 21))
    request = ContestRequest(PROMPT, texts, Raw("one two three"))
    whole = contest(model, request)
    monkeypatch.setattr(teacher_forcing, "FEW", 8)  # eleven rows, then, of eight tokens at a time
    monkeypatch.setattr(teacher_forcing, "LOGITS_BYTES", 90 * 4 * model.card.vocabulary)
    with forwards(model) as shapes:
        parts = contest(model, request)
    tokens = [rows * columns for rows, columns in shapes]
    assert max(tokens) <= 90 and len(tokens) > 8
    for one, two in zip(whole.contenders, parts.contenders, strict=True):
        assert same(one.scored.steps, two.scored.steps)


def test_copies_of_the_cache_stay_within_their_budget(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for two copies of the prompt's cache, five continuations go two by two."""
    request = ContestRequest(PROMPT, tuple(" fox" * n for n in range(1, 6)))
    with forwards(model) as shapes:
        whole = contest(model, request)
    context = len(whole.contenders[0].scored.context) - 1
    assert shapes == [(1, context), (5, 5), (5, 5)]
    a_row = context * 2 * 2 * 2 * 8 * 4  # layers, keys and values, heads, size, fp32
    monkeypatch.setattr(teacher_forcing, "CACHE_BYTES", 2 * a_row)
    with forwards(model) as shapes:
        parts = contest(model, request)
    # Behind the neutral token alone there is nothing to copy.
    assert shapes == [(1, context), (2, 5), (2, 3), (1, 1), (5, 5)]
    for one, two in zip(whole.contenders, parts.contenders, strict=True):
        assert same(one.scored.steps, two.scored.steps)


def test_without_a_bos_the_first_token_has_no_probability(model: Model) -> None:
    made = scored(model, ScoreRequest(TEXT))
    assert [piece.text for piece in made.context] == ["The"] or len(made.context) == 1
    assert any("nothing before it" in notice for notice in made.notices)
    with pytest.raises(InvalidInput, match="no token to score"):
        done(model, ScoreRequest(Ids((5,))))


def with_bos(kind: str = "llama") -> Model:
    tokenizer = metaspace_tokenizer()
    return assemble(ModelSpec(f"tiny/{kind}"), tiny_lm(kind, len(tokenizer)), tokenizer)


def test_with_a_bos_every_token_has_one() -> None:
    made = scored(with_bos(), ScoreRequest(Raw("the cat")))
    assert [piece.text for piece in made.context] == ["<s>"]
    assert made.text == "the cat" and made.steps[0].piece == " the" and not made.notices


def test_the_neutral_prompt_is_what_begins_a_text(model: Model) -> None:
    """A BOS where the tokenizer has one, else the model's end token, which stands between texts."""
    request = ContestRequest(Raw("the cap"), (" is", " in"))
    assert [piece.text for piece in contest(with_bos(), request).neutral] == ["<s>"]
    assert [piece.text for piece in contest(model, request).neutral] == ["<|im_end|>"]


@pytest.mark.parametrize("text", UNICODE)
def test_the_text_of_a_score_is_the_text(model: Model, text: str) -> None:
    """Characters that fall apart into tokens come whole, and those of the context do not count."""
    made = scored(model, ScoreRequest(Raw(text), Raw("one\n")))
    assert made.text == text and made.bytes == len(text.encode())


def test_a_token_over_the_border_is_scored_whole_and_said(model: Model) -> None:
    """" cap" and "ital" are one token: the ids are those of the whole text, from " capital" on."""
    whole = tuple(model.tokenizer("The capital")["input_ids"])
    assert [model.tokenizer.decode([id]) for id in whole] == ["The", " capital"]
    made = scored(model, ScoreRequest(Raw("ital"), Raw("The cap")))
    assert (context_of(made), ids_of(made)) == (whole[:1], whole[1:])
    assert made.text == " capital" and any("' cap'" in notice for notice in made.notices)
    # Beside others, all begin where the first of them parts from the prompt.
    both = contest(model, ContestRequest(Raw("The cap"), ("ital", "tain")))
    assert [c.scored.text for c in both.contenders] == [" capital", " captain"]
    assert {c.scored.context for c in both.contenders} == {made.context}
    assert both.contenders[0].scored.total_logprob == pytest.approx(made.total_logprob, abs=CLOSE)


def test_where_no_token_of_the_prompt_stays_the_text_is_tokenized_apart(model: Model) -> None:
    made = scored(model, ScoreRequest(Raw("ital"), Raw(" cap")))
    assert [piece.text for piece in made.context] == [" cap"] and made.text == "ital"
    assert any("apart" in notice for notice in made.notices)


def test_ids_that_are_not_those_of_their_text_stay_as_they_are(model: Model) -> None:
    """A branch may hold "th" + "e", which no tokenizer would write."""
    odd = (*letters("the"), *letters("fox"))
    made = scored(model, ScoreRequest(Raw(" river"), Ids(odd)))
    assert context_of(made) == odd and made.text == " river"
    assert any("apart" in notice for notice in made.notices)


def test_only_the_answer_of_a_chat_counts(model: Model) -> None:
    chat = Chat((Message("user", "hello, how are you?"), Message("assistant", "I am fine")))
    made = scored(model, ScoreRequest(chat))
    context = "".join(piece.text for piece in made.context)
    assert context == "<|im_start|>user\nhello, how are you?<|im_end|>\n<|im_start|>assistant\n"
    assert made.text == "I am fine" and not made.notices
    question = Chat(chat.messages[:1])
    assert scored(model, ScoreRequest(Raw("I am fine"), question)) == made
    made = contest(model, ContestRequest(question, ("I am fine", "thank you")))
    assert [c.scored.text for c in made.contenders] == ["I am fine", "thank you"]


@pytest.mark.parametrize(
    ("asks", "given", "context", "said"),
    [
        ("", "<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n", "writes"),
        ("<think>\n", "<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n", "writes"),
        ("<think>\n", "", "", "leaves out '<think>"),
    ],
)
def test_what_a_template_puts_before_an_answer_is_read_and_not_scored(
    asks: str, given: str, context: str, said: str
) -> None:
    """As models that think do: an answer that is there has its thoughts left out."""
    model = tiny_model("llama")
    model.tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
        "{% if m['role'] == 'assistant' %}" + given + "{% endif %}{{ m['content'] }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n" + asks + "{% endif %}"
    )
    question = Chat((Message("user", "hello"),))
    chat = Chat((*question.messages, Message("assistant", "I am fine")))
    both = contest(model, ContestRequest(question, ("I am fine", "thank you")))
    for made in (scored(model, ScoreRequest(chat)), both.contenders[0].scored):
        assert made.text == "I am fine"
        assert "".join(piece.text for piece in made.context).endswith("assistant\n" + context)
    assert len(both.notices) == 1 and said in both.notices[0]
    assert both.contenders[1].scored.text == "thank you"


def test_words_go_on_from_ids_without_a_space_of_their_own() -> None:
    """A SentencePiece tokenizer puts a space before every text, "<s>" or not."""
    model = with_bos()
    prompt = Ids(tuple(model.tokenizer("the cap")["input_ids"]))
    for words, text in ((" is", " is"), ("ital", "ital")):
        made = scored(model, ScoreRequest(Raw(words), prompt))
        assert made.text == text and not made.notices and context_of(made) == prompt.ids
    odd = Ids((prompt.ids[0], *model.tokenizer.convert_tokens_to_ids(["t", "h", "e"])))
    made = scored(model, ScoreRequest(Raw("re"), odd))
    assert made.text == "re" and any("apart" in notice for notice in made.notices)


def test_a_text_as_long_as_the_context_is_scored_and_a_longer_one_refused(model: Model) -> None:
    full = Ids(tuple(range(20, 20 + model.card.context)))
    assert len(scored(model, ScoreRequest(full)).steps) == model.card.context - 1
    one_more = Ids((*full.ids, 5))
    for request in (
        ScoreRequest(one_more),
        ScoreRequest(Ids((5, 6)), Ids(full.ids[:-1])),
        ScoreRequest(Raw("a b"), one_more),
        ContestRequest(Ids(full.ids[:-4]), (" a", " a small fox by the river")),
        ContestRequest(PROMPT, (" a", " b"), full),
    ):
        with pytest.raises(ContextOverflow) as caught:
            done(model, request)
        assert str(model.card.context) in str(caught.value)
    with pytest.raises(InvalidInput, match="vocabulary"):
        done(model, ScoreRequest(Ids((5, 10**6))))


def spoiled(when: int, fault: Any) -> Model:
    """A model whose ``when``-th forward is changed, or raises."""
    model = tiny_model("llama")
    count = 0

    def hook(_: Any, __: Any, output: Any) -> None:
        nonlocal count
        count += 1
        if count == when:
            if isinstance(fault, BaseException):
                raise fault
            output.logits[0, 3, 7] = fault

    model.lm.register_forward_hook(hook)
    return model


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (float("nan"), "NAN_LOGITS", "Before token 9 of the text"),
        (float("inf"), "NAN_LOGITS", "NaN or infinity"),
        (torch.OutOfMemoryError("CUDA out of memory"), "OOM", "while the text was scored"),
        (RuntimeError("shape mismatch"), "ERROR", "broke off: shape mismatch"),
    ],
)
def test_a_fault_ends_one_request_and_the_next_goes_on(
    fault: Any, code: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunked(monkeypatch, 5)
    model = spoiled(2, fault)
    failed, other = done(model, ScoreRequest(TEXT), ScoreRequest(TEXT))
    assert isinstance(failed, Problem) and failed.code == code and words in failed.message
    assert isinstance(other, Scored)


def test_a_token_that_cannot_come_is_infinitely_surprising() -> None:
    """A model may forbid a token with -inf, which is no fault."""
    model = tiny_model("llama")
    model.lm.register_forward_hook(
        lambda _, __, output: output.logits.__setitem__((..., 5), -torch.inf)
    )
    made = scored(model, ScoreRequest(Ids((7, 5, 8))))
    assert made.steps[0].logprob == -math.inf and made.steps[0].probability == 0
    assert made.perplexity == math.inf and math.isfinite(made.steps[1].logprob)


def test_a_request_that_leaves_reads_no_more(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunked(monkeypatch, 2)
    scorer = Scorer(model)
    scorer.join(1, ScoreRequest(TEXT))
    scorer.join(2, ScoreRequest(PROMPT))
    for _ in range(3):
        assert scorer.turn == 1 and scorer.step() is None
    scorer.leave(1)
    assert scorer.turn == 2
    scorer.leave(2)
    scorer.leave(2)
    assert not scorer.busy


def test_each_step_is_one_forward_at_most(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    chunked(monkeypatch, 4)
    scorer = Scorer(model)
    scorer.join(0, ContestRequest(TEXT, (" a small fox", " the river"), PROMPT))
    with forwards(model) as shapes:
        while scorer.busy:
            before = len(shapes)
            scorer.step()
            assert len(shapes) <= before + 1
    assert max(columns for _, columns in shapes) == 4 and len(shapes) > 10


def test_beside_others_the_chunks_are_small(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may come and go in the middle of a text: what is read stays read, once."""
    monkeypatch.setattr(teacher_forcing, "BESIDE", 4)
    chunked(monkeypatch, 6)
    expected = scored(model, ScoreRequest(TEXT))
    scorer = Scorer(model)
    scorer.join(0, ScoreRequest(TEXT))
    told = None
    with forwards(model) as shapes:
        while scorer.busy:
            told = scorer.step(beside=len(shapes) % 2 == 0)
    assert told is not None and same(told[1].steps, expected.steps)
    widths = [columns for _, columns in shapes]
    assert widths[:4] == [4, 6, 4, 6] and sum(widths) == len(expected.steps)


def test_a_long_text_tells_fewer_candidates_and_says_so(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer is one message; fifty candidates of a hundred thousand tokens are a gigabyte."""
    count = len(scored(model, ScoreRequest(TEXT)).steps)
    monkeypatch.setattr(score, "MOST_CANDIDATES", 3 * count + 1)
    made = scored(model, ScoreRequest(TEXT, candidates=10))
    assert {len(step.candidates) for step in made.steps} == {3}
    assert any("3 candidates" in notice and "instead of 10" in notice for notice in made.notices)


def test_what_cannot_be_tokenized_is_refused_before_it_joins(model: Model) -> None:
    scorer = Scorer(tiny_model("llama", chat=False))
    chat = Chat((Message("user", "hello"), Message("assistant", "hi")))
    with pytest.raises(PlaygroundError, match="no chat template"):
        scorer.join(0, ScoreRequest(chat))
    assert not scorer.busy
