"""Laws of the encoder that ships with the playground, on its shipped weights and its corpus."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
import torch

from playground.core.kept import Kept
from playground.core.run import ModelSpec
from playground.models.builtin import corpus, held_out
from playground.models.builtin.corpus.grammar import words
from playground.models.builtin.corpus.senses import around, encoder_document
from playground.models.builtin.corpus.two_senses import SENSES, TWO_SENSE_WORDS, Sense
from playground.models.builtin.held_out_senses import SENTENCES
from playground.models.builtin.masked import IGNORED, Masker
from playground.models.builtin.sense_scoring import Separation, fill_in, nearest, separation
from playground.models.catalog import BUILTIN
from playground.models.loading import Model, load

FOLDER = BUILTIN / "tiny-encoder"
SEED = 20261121
BEST_LAYER = 3
# Words that stand with any sense of anything.
FUNCTION = frozenset(
    words(
        "a an and at by for from her his how in into is it its my no not of on one our out over "
        "such than that the then there this to too up was we were what when with"
    )
)


@pytest.fixture(scope="module")
def model() -> Model:
    return load(ModelSpec("builtin/tiny-encoder"), FOLDER, device="cpu")


@pytest.fixture(scope="module")
def separated(model: Model) -> list[Separation]:
    return separation(model.lm, model.tokenizer, SENTENCES)


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def texts_around(sense: Sense) -> list[str]:
    rng = corpus.source(SEED, f"law {sense.word} {sense.name}")
    return [around(rng, sense) for _ in range(1500)]


@pytest.fixture(scope="module")
def texts() -> dict[tuple[str, str], list[str]]:
    return {(sense.word, sense.name): texts_around(sense) for sense in SENSES}


def test_it_takes_six_megabytes_at_most() -> None:
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 6_000_000
    assert "often wrong" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_it_loads_as_an_encoder_through_the_loader(model: Model) -> None:
    card = model.card
    assert (card.kind, card.lane, card.kept) == ("encoder", "none", Kept(0))
    assert (card.architecture, card.context, card.notices) == ("BertForMaskedLM", 128, ())
    assert model.tokenizer.tokenize("The bank's [MASK]") == ["the", "bank", "'", "s", "[MASK]"]


def test_the_encoder_separates_ten_words(separated: list[Separation]) -> None:
    """Leave one out: each of a word's eight held-out sentences, four a sense, is given the sense of
    the one with the nearest vector of the word. By chance that is right 3 times of 7."""
    hits = {one.word: one.hits[BEST_LAYER] / one.count for one in separated}
    assert set(hits) == set(TWO_SENSE_WORDS) and all(one.count == 8 for one in separated)
    assert sum(hits.values()) / len(hits) >= 0.9
    assert sum(share >= 0.9 for share in hits.values()) >= 10


def test_it_is_the_context_that_separates_them(separated: list[Separation]) -> None:
    """The embedding of the word is the same in both senses, but for its place in the sentence."""
    shares = [sum(one.hits[layer] / one.count for one in separated) / 15 for layer in range(4)]
    assert shares[0] < 0.6 and shares == sorted(shares)


def test_nearest_is_the_largest_cosine_by_hand() -> None:
    """Cosines with the first: 0.6, 0.8 and -1; length says nothing."""
    vectors = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.8, 0.6], [-9.0, 0.0]])
    assert nearest(vectors) == [2, 2, 1, 1]


def test_a_hidden_word_is_filled_in(model: Model) -> None:
    def best(text: str) -> list[str]:
        return [token for token, _ in fill_in(model.lm, model.tokenizer, text)]

    assert best("The capital of France is [MASK].")[0] == "paris"
    assert best("The opposite of hot is [MASK].")[0] == "cold"
    assert "bank" in best("The fisherman sat on the [MASK] of the river.")


def test_no_held_out_sentence_is_like_a_text_of_the_corpus(
    texts: dict[tuple[str, str], list[str]],
) -> None:
    """No five words in a row of a held-out sentence stand in the corpus."""
    rows = {
        tuple(row[at : at + 5])
        for text in [one for some in texts.values() for one in some]
        for row in [words_of(text)]
        for at in range(len(row) - 4)
    }
    assert len(rows) > 50_000
    for one in SENTENCES:
        row = words_of(one.text)
        assert not {tuple(row[at : at + 5]) for at in range(len(row) - 4)} & rows, one.text


def test_what_tells_a_held_out_sense_never_stood_beside_the_word(
    texts: dict[tuple[str, str], list[str]],
) -> None:
    """A word that stands beside the two-sense word in one sense only would give the sense away."""
    beside: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (word, sense), some in texts.items():
        for found in map(set, map(words_of, some)):
            if word in found:
                beside[word, sense] |= found
    for one in SENTENCES:
        in_this, in_other = (
            set.union(*(found for (word, sense), found in beside.items()
                        if word == one.word and (sense == one.sense) is same))
            for same in (True, False)
        )
        telling = set(words_of(one.text)) & (in_this ^ in_other)
        assert telling <= FUNCTION, (one, telling)


def test_the_held_out_sentences_of_a_sense_share_no_word_that_tells_it(
    texts: dict[tuple[str, str], list[str]],
) -> None:
    """Else two sentences could be near for the word that they share."""
    for word, sense in texts:
        own = [one for one in SENTENCES if (one.word, one.sense) == (word, sense)]
        assert len(own) == 4
        seen: set[str] = set()
        for one in own:
            found = set(words_of(one.text)) - {word} - FUNCTION
            assert not found & seen, (one, found & seen)
            seen |= found


def test_no_held_out_capital_wording_stands_in_the_corpus() -> None:
    rng = corpus.source(SEED, "law of capitals")
    text = "\n".join(encoder_document(rng) for _ in range(5000))
    for wording in held_out.BASE_CAPITALS:
        parts = [re.escape(part) for part in re.split(r"\{\w+\}", wording)]
        assert not re.search(r"[^\n]{1,25}".join(parts), text, re.IGNORECASE)


def test_the_corpus_is_the_same_from_the_same_seed() -> None:
    made = [encoder_document(corpus.source(seed, "law")) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def test_a_text_of_the_corpus_is_about_one_sense() -> None:
    """And holds no other two-sense word, whose sense would be that of nothing."""
    for sense in SENSES:
        for text in texts_around(sense)[:200]:
            assert set(words_of(text)) & set(TWO_SENSE_WORDS) <= {sense.word}


def test_hidden_tokens_alone_are_learnt() -> None:
    masker = Masker(FOLDER)
    pad, unknown, begin, end, mask = range(5)
    for shown, wanted in masker.parts(corpus.source(SEED, "law of masks")):
        hidden = wanted != IGNORED
        assert (shown[~hidden] != mask).all()
        assert not torch.isin(wanted[hidden], torch.tensor([pad, begin, end, mask])).any()
        assert (shown[:, 0] == begin).all() and not hidden[:, 0].any()


def test_the_tokenizer_of_the_files_is_that_of_the_training(model: Model) -> None:
    masker = Masker(FOLDER)
    rng = corpus.source(SEED, "law of tokens")
    for text in [encoder_document(rng) for _ in range(300)]:
        ids = masker.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        assert model.tokenizer(text)["input_ids"] == [2, *ids, 3]
