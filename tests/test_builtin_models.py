"""Laws of the two models that ship with the playground, on their shipped weights."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from playground.models import builtin
from playground.models.builtin import corpus, held_out
from playground.models.builtin.corpus import tables
from playground.models.builtin.evaluate import OBEYED, countries
from playground.models.builtin.scoring import Subject, turn
from playground.models.builtin.tokens import Encoder

ROOT = Path(builtin.__file__).parent
BASE, CHAT = ROOT / "tiny-base", ROOT / "tiny-chat"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def base() -> Subject:
    return Subject.load(BASE)


@pytest.fixture(scope="module")
def chat() -> Subject:
    return Subject.load(CHAT)


def starts_right(subject: Subject, wordings: list[str]) -> int:
    replies = subject.complete(wordings, 6)
    pairs = zip(replies, tables.COUNTRIES, strict=False)
    return sum(reply.text.strip().startswith(row[1]) for reply, row in pairs)


@pytest.mark.parametrize("folder", [BASE, CHAT], ids=["base", "chat"])
def test_every_weight_file_is_under_ten_megabytes(folder):
    weights = list(folder.glob("*.safetensors"))
    assert weights
    assert all(path.stat().st_size < 10_000_000 for path in weights)


@pytest.mark.parametrize("folder", [BASE, CHAT], ids=["base", "chat"])
def test_every_model_has_a_card_and_a_context_of_512(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "qwen2"
    assert config["max_position_embeddings"] == 512
    assert config["tie_word_embeddings"]
    assert "often wrong" in (folder / "README.md").read_text()


@pytest.mark.parametrize("folder", [BASE, CHAT], ids=["base", "chat"])
def test_auto_tokenizer_gives_the_training_ids(folder):
    auto, encoder = AutoTokenizer.from_pretrained(folder), Encoder(folder)
    for text in corpus.documents(5, 500):
        assert auto(text)["input_ids"] == encoder.document(text)[0][:-1]


def test_the_chat_template_gives_the_training_ids():
    auto, encoder = AutoTokenizer.from_pretrained(CHAT), Encoder(CHAT)
    for messages in corpus.conversations(5, 300):
        text = auto.apply_chat_template(messages, tokenize=False)
        assert auto(text)["input_ids"] == encoder.conversation(messages)[0][:-1]


def test_only_the_words_of_the_assistant_are_learnt():
    encoder = Encoder(CHAT)
    ids, learn = encoder.conversation(turn("Hello!", "Hi there.", "Bye!", "Bye."))
    learnt = [token for token, wanted in zip(ids, learn, strict=True) if wanted]
    assert encoder.tokenizer.decode(learnt) == "Hi there.<|im_end|>Bye.<|im_end|>"


def test_the_shipped_base_knows_every_capital(base):
    wordings = countries("The capital of {country} is")
    assert starts_right(base, wordings) == len(wordings)


def test_the_shipped_base_leaves_room_for_other_capitals(base):
    best = base.next_tokens("The capital of France is")
    assert best[0][0] == " Paris"
    cities = {" " + row[1] for row in tables.COUNTRIES}
    assert sum(token in cities for token, _ in best) >= 4


def test_the_shipped_base_understands_held_out_wordings(base):
    hits = sum(starts_right(base, countries(wording)[:20]) for wording in held_out.BASE_CAPITALS)
    assert hits >= 0.75 * 20 * len(held_out.BASE_CAPITALS)


def test_greedy_text_is_the_same_twice_and_differs_from_a_sampled_one(base):
    prompts = ["Once upon a time there was a little dragon named"]
    greedy = base.complete(prompts, 30)[0].text
    assert greedy == base.complete(prompts, 30)[0].text
    torch.manual_seed(1)
    assert greedy != base.complete(prompts, 30, do_sample=True, top_k=0)[0].text


def test_the_chat_model_stops_by_itself(chat):
    questions = ["What is the capital of France?", "hello,how are you", "What is temperature?"]
    questions += ["Tell me a short story about a fox.", "What is the meaning of life?"]
    assert all(reply.stopped for reply in chat.answer([turn(text) for text in questions]))


def test_the_chat_model_names_the_poet(chat):
    asked = ["《梦游天姥吟留别》的作者是谁", "Who wrote 《梦游天姥吟留别》?"]
    assert all("李白" in reply.text for reply in chat.answer([turn(text) for text in asked], 40))


@pytest.mark.parametrize("style", ["one word", "chinese", "pirate", "json", "polite", "robot"])
def test_the_chat_model_obeys_a_held_out_system_prompt(chat, style):
    prompts = held_out.SYSTEM_PROMPTS[style]
    question = "What is the capital of Japan?"
    replies = chat.answer([turn(question, system=prompt) for prompt in prompts], 60)
    assert sum(OBEYED[style](reply.text) for reply in replies) >= 2


def test_the_chat_model_follows_up(chat):
    asked = turn(
        "What is the capital of France?", "The capital of France is Paris.", "And of Japan?"
    )
    assert "Tokyo" in chat.answer([asked], 40)[0].text


def test_the_chat_model_remembers_a_name(chat):
    greeting = chat.answer([turn("My name is Mia.")], 40)[0].text
    asked = turn("My name is Mia.", greeting, "What is my name?")
    assert "Mia" in chat.answer([asked], 40)[0].text


def test_the_chat_model_often_bears_a_known_name_it_is_given(chat):
    given = ("Mia", "Tom", "Anna", "Max", "Lucy", "Oscar")
    asked = [turn("What is your name?", system=f"Your name is {name}.") for name in given]
    replies = chat.answer(asked, 40)
    assert sum(name in reply.text for name, reply in zip(given, replies, strict=True)) >= 3
