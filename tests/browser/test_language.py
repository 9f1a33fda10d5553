"""The page in Chinese: what the app says is translated, what people and models wrote is not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from playground.ui.language import words_in
from tests.browser.test_journeys import TABS
from tests.browser.test_records import reload
from tests.test_language import AS_THEY_ARE

Shoot = Callable[[Page, str], None]

WORDS = json.loads(words_in({"language": "zh"}))
DICTIONARY = {
    "Send": "发送", "The prompt is empty.": "提示为空。",
    "Write the beginning of a text to continue.": "写下要续写的文本开头。",
    "{} is {}; it must be {}.": "{}是{};它必须是{}。",
    "a whole number from {} to {}": "从 {} 到 {} 的整数",
    "“{}” is no seed.": "“{}”不是种子。", "Temperature": "温度", "{} of {}": "{2} 中的 {1}",
    "ready": "就绪", "braces {{{}}}": "花括号 {{{}}}",
}


SAID = (
    ("Send", "发送"),
    ("  Send ", "  发送 "),
    ("The prompt is empty. Write the beginning of a text to continue.",
     "提示为空。写下要续写的文本开头。"),
    ("Temperature is 9; it must be a whole number from 0 to 2.",
     "温度是9;它必须是从 0 到 2 的整数。"),
    ("“Send” is no seed.", "“Send”不是种子。"),
    ("3 of 9", "9 中的 3"),
    ("all of the sentences that nobody of us knows", None),
    ("ab of cd", None),
    ("ready of 3", "3 中的 就绪"),
    ("ready · cpu · 11 MB", "就绪 · cpu · 11 MB"),
    ("braces {x}", "花括号 {x}"),
    ("Nobody knows this sentence.", None),
    ("The prompt is empty. Nobody knows this.", None),
)


@pytest.fixture
def chinese(visit: Callable[..., Page]) -> Page:
    """The page, chosen by hand."""
    page = visit()
    page.get_by_label("Language").select_option("zh")
    expect(page.get_by_role("tab", name="对话", exact=True)).to_be_visible()
    return page


def test_a_text_is_put_into_words(page: Page) -> None:
    """Sentences one after another, parts put in, lists; what stands in quotes was given by a
    person and stays."""
    page.wait_for_function("window.languagePicker !== undefined")
    found = page.evaluate(
        """([words, texts]) => {
          const translator = new window.languagePicker.Translator(words);
          return texts.map((text) => translator.translate(text));
        }""",
        [DICTIONARY, [english for english, _ in SAID]],
    )
    assert found == [other for _, other in SAID]


def test_the_language_is_chosen_by_hand_kept_and_taken_back(chinese: Page, shoot: Shoot) -> None:
    send = chinese.locator("#chat-run")
    expect(send).to_have_text("发送")
    shoot(chinese, "chinese")
    reload(chinese)
    expect(send).to_have_text("发送")
    assert chinese.evaluate("document.documentElement.lang") == "zh-CN"
    chinese.get_by_label("语言").select_option("en")
    expect(send).to_have_text("Send")


def test_what_people_and_models_wrote_stays(chinese: Page) -> None:
    chinese.locator("#chat-message textarea").fill("Send")
    chinese.keyboard.press("Enter")
    mine = chinese.locator("#chat-messages .user.message").first
    expect(mine).to_contain_text("Send")
    expect(chinese.locator(".ts[data-state=finished]:visible").first).to_be_visible()
    expect(chinese.locator("#chat-run")).to_be_visible()
    expect(mine).to_contain_text("Send")


def test_what_is_chosen_is_read_in_the_language_and_sent_as_it_was(
    chinese: Page, shoot: Shoot
) -> None:
    """The value of a dropdown is an input's: the words lie over it while nobody types there."""
    chinese.get_by_role("tab", name=WORDS["Inside"], exact=True).click()
    box = chinese.locator("#inside-other .secondary-wrap")
    expect(box).to_have_attribute("data-chosen", WORDS["none"])
    shoot(chinese, "chinese-chosen")
    expect(box.locator("input")).to_have_value("none")
    box.click()
    chinese.get_by_role("option", name="tiny-base").click()
    expect(box.locator("input")).to_have_value("tiny-base")
    expect(box).not_to_have_attribute("data-chosen", re.compile("."))
    box.click()
    chinese.get_by_role("option", name=WORDS["none"], exact=True).click()
    expect(box).to_have_attribute("data-chosen", WORDS["none"])
    chinese.get_by_label("语言").select_option("en")
    expect(box).not_to_have_attribute("data-chosen", re.compile("."))


# Names, units and code words that are the same in both languages.
_SAME = re.compile(
    r"Token by Token|tiny-(chat|base|encoder)|[Tt]op-[pkh]|Token|float32|"
    r"Qwen2ForCausalLM|dtype|auto|bitsandbytes|Logit|[\w-]+/[\w.-]+|cpu|cuda(:\d)?|MB|GB|KB|kB|"
    r"ms|JSON|CSV|English|Gradio|"
    r"Token by Token|Markdown|Python|curl|BOS|EOS|KV|top-[kpnh]|min-p|UTF-8|[A-Z]{2,}|p|k|n|id|ids|"
    r"\S*[_.<>|{}\\/=]\S*|DoLa|DRY|XTC|Mirostat|Hub|Hugging Face|transformers|Qwen\S*|Phi\S*|gpt2|"
    r"SmolLM\S*|Bradley-Terry|token|logit|softmax|nats?|AM|PM|Enter|Ctrl|Shift|Escape|Space|S|L|"
    r"builtin|DoRA|LoRA|Greedy|bf16|fp32|nf4|int8|s|h|min"
)
_LEFT = r"""() => {
  const skip = `script, style, textarea, input, pre, code, [data-verbatim], .tok, bdi, .example,
    option, footer, .formula, .latex, .paper, svg, .message, .texts`;
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const parent = node.parentElement;
    if (!parent || parent.closest(skip) || !parent.checkVisibility()) continue;
    if (/[A-Za-z]{2}/.test(node.data)) found.push(node.data.trim());
  }
  return found;
}"""


def test_no_english_is_left_on_a_chinese_page(chinese: Page) -> None:
    left: dict[str, list[str]] = {}
    prompts = json.loads(AS_THEY_ARE.read_text("utf-8"))
    for number, tab in enumerate(TABS):
        chinese.get_by_role("tab").nth(number).click()
        chinese.wait_for_timeout(400)
        found = [text for text in chinese.evaluate(_LEFT)
                 if re.search(r"[A-Za-z]{2}", _SAME.sub("", text)) and text not in prompts]
        if found:
            left[tab] = found
    assert not left, json.dumps(left, ensure_ascii=False, indent=1)
