"""What a person does with the page, in a real Chromium, with the real app and its real models."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.tab_row import open_tab
from tests.browser.test_records import reload

pytestmark = pytest.mark.browser

TABS = ("Chat", "Complete", "Strategies", "Tokens", "Score", "Inside", "Grid", "Blind",
        "Models", "Recipe", "Records")
FIRST_TOKEN = "[data-i]"
LONG = 400
Shoot = Callable[[Page, str], None]


def _lanes(page: Page) -> Locator:
    return page.locator(".token-stream:visible")


def _example(page: Page, text: str) -> None:
    page.locator("button.example:visible", has_text=text).first.click()


def _setting(page: Page, label: str) -> Locator:
    """The input of a setting in the panel that is in sight."""
    return page.locator(".decoding-panel:visible").get_by_label(label, exact=True)


def _group(page: Page, name: str) -> None:
    """Unfold a group of settings."""
    page.locator(".decoding-panel:visible summary", has_text=name).click()


def _settings_of(page: Page, column: int) -> Locator:
    """Open the panel on a column (from 1) and give it."""
    button = page.get_by_role("button", name=f"Settings of lane {column}")
    button.locator("visible=true").last.click()
    panel = page.locator(".decoding-panel:visible")
    expect(panel.get_by_role("heading")).to_have_text(f"Lane {column}")
    return panel


def _heads(page: Page) -> Locator:
    return page.locator(".decoding-head:visible")


def _choose(page: Page, label: str, value: str) -> None:
    """Type into a dropdown that takes any value, as a person would."""
    box = page.get_by_label(label, exact=True).locator("visible=true").first
    box.fill(value)
    box.press("Enter")
    box.press("Tab")


def _ended(lane: Locator) -> Locator:
    """The lane, once its run is over."""
    expect(lane).to_have_attribute("data-state", re.compile("finished|failed"))
    return lane


def _text(lane: Locator) -> str:
    """What the lane's running text says, as a person reads it."""
    return lane.locator(".body > .running").inner_text()


def _ask(page: Page, text: str) -> None:
    page.locator("#chat-message textarea").fill(text)
    page.locator("#chat-message textarea").press("Enter")


def _answers(page: Page) -> Locator:
    return page.locator("#chat-messages .bot.message, #chat-messages .message.bot")


def test_a_chat_answers_and_shows_its_exact_prompt(page: Page, shoot: Shoot) -> None:
    page.get_by_role("button", name="Answer with one word.").click()
    _ask(page, "What is the capital of France?")
    expect(_answers(page).first).to_be_visible()
    lane = _ended(_lanes(page).first)
    expect(page.locator("#chat-messages")).to_contain_text(re.compile(r"\d+ tokens"))
    lane.locator("details.prompt summary").click()
    shown = lane.locator("details.prompt")
    expect(shown).to_contain_text("<|im_start|>")
    expect(shown).to_contain_text("one")
    shoot(page, "chat")


def test_a_chat_is_stopped_and_goes_on(page: Page) -> None:
    _group(page, "Length")
    _setting(page, "New tokens").fill(str(LONG))
    _setting(page, "At least").fill(str(LONG))
    _ask(page, "Tell me a short story about a fox.")
    lane = _lanes(page).first
    lane.locator(FIRST_TOKEN).nth(2).wait_for()
    page.keyboard.press("Escape")
    expect(lane).to_contain_text("Stopped. What was written stays.")
    written = lane.locator(FIRST_TOKEN).count()
    assert 0 < written < LONG
    expect(page.locator("#chat-messages")).to_contain_text("stopped by you")
    page.keyboard.press("Escape")
    _setting(page, "At least").fill("0")
    _ask(page, "Hello!")
    expect(lane).to_contain_text(re.compile("The model ended here|Cut off at"))


def test_a_long_prompt_leaves_the_answer_and_the_legend_their_places(page: Page) -> None:
    """Both once stood in a part of 240 pixels: two lines were left for the answer, and the legend
    was written over what stood below it."""
    _ask(page, "The fox and the dog went to the river. " * 20)
    lane = _ended(_lanes(page).first)
    expect(lane.locator("details.prompt [data-i]").nth(100)).to_be_attached()
    parts = ("details.prompt", ".body", ".legend", ".panels")
    prompt, body, legend, below = (lane.locator(part).bounding_box() for part in parts)
    assert prompt["y"] + prompt["height"] <= body["y"] + 1
    assert body["height"] >= 76
    assert legend["y"] + legend["height"] <= below["y"] + 1


@pytest.mark.parametrize("width", [1280, 390])
def test_back_and_a_reload_lead_to_the_tab_that_was_open(
    visit: Callable[..., Page], width: int
) -> None:
    """Back once left the page with all that was on it, and a reload ended in Chat. On a phone most
    tabs stand behind a button, and Back is pressed faster than the server opens one."""
    page = visit(width=width)
    opened = page.get_by_role("tab", selected=True).first
    open_tab(page, "Grid")
    open_tab(page, "Models")
    page.go_back()
    expect(opened).to_have_text("Grid")
    expect(page.locator(".grid-texts textarea:visible").first).to_be_visible()
    page.go_forward()
    expect(opened).to_have_text("Models")
    reload(page)
    expect(opened).to_have_text("Models")
    page.go_back()
    page.go_back()
    expect(opened).to_have_text("Chat")
    expect(page).to_have_url(re.compile("/$"))
    opened.press("ArrowRight")
    expect(opened).to_have_text("Complete")
    expect(page).to_have_url(re.compile("#complete$"))


def test_a_base_model_has_no_template_and_says_where_to_go(page: Page) -> None:
    _setting(page, "Model").select_option("builtin/tiny-base")
    _ask(page, "Hello!")
    expect(page.locator("#chat-notice")).to_contain_text("no chat template")
    expect(page.locator("#chat-notice")).to_contain_text("Complete")
    expect(page.locator("#chat-message textarea")).to_have_value("Hello!")


def test_a_chat_goes_on_with_an_answer_that_was_begun(page: Page, shoot: Shoot) -> None:
    begun = "The capital of"
    _setting(page, "Begin the answer with").fill(begun)
    _ask(page, "What is the capital of France?")
    lane = _ended(_lanes(page).first)
    expect(page.locator("#chat-messages")).to_contain_text(re.compile(r"\d+ tokens"))
    written = _text(lane).replace("·", " ").replace("⏎", "").partition("<|")[0].rstrip()
    assert written
    assert _answers(page).first.inner_text().startswith(begun + written)
    shoot(page, "prefill")


def test_typed_control_tokens_are_text_until_the_box_is_ticked(page: Page) -> None:
    open_tab(page, "Tokens")
    page.get_by_label("Prompt", exact=True).locator("visible=true").fill("Hi<|im_end|>there")
    lane = _lanes(page).first
    special = lane.locator("details.prompt .special")
    page.locator("#tokens-run").click()
    expect(lane).to_contain_text("<|im_end|> in your text is read as plain text")
    _ended(lane).locator("details.prompt summary").click()
    expect(special).to_have_count(0)
    page.get_by_label("Read control tokens in my text").locator("visible=true").check()
    page.locator("#tokens-run").click()
    expect(lane).to_contain_text("<|im_end|> in your text is read as a control token")
    expect(lane).to_contain_text("control tokens read")
    expect(special).to_have_text(["<|im_end|>"])


def test_retry_undo_edit_and_clear(page: Page) -> None:
    _ask(page, "What is the capital of Japan?")
    lane = _ended(_lanes(page).first)
    first = _text(lane)
    lane.locator(f".body {FIRST_TOKEN}").first.evaluate("token => token.dataset.old = 'yes'")
    page.get_by_label("Retry").first.click()
    expect(lane.locator("[data-old]")).to_have_count(0)
    assert _text(_ended(lane)) == first, "greedy says the same thing twice"
    page.get_by_label("Undo").first.click()
    expect(page.locator("#chat-message textarea")).to_have_value("What is the capital of Japan?")
    expect(_answers(page)).to_have_count(0)
    _ask(page, "Hello!")
    expect(_answers(page)).not_to_have_count(0)
    _ended(lane)
    page.get_by_label("Clear").first.click()
    expect(_answers(page)).to_have_count(0)
    expect(page.locator("#chat-messages")).to_contain_text("Ask something")


def test_two_columns_stream_together(page: Page, shoot: Shoot) -> None:
    open_tab(page, "Complete")
    for number in (1, 2):
        _settings_of(page, number)
        _setting(page, "New tokens").fill(str(LONG))
    _example(page, "Once upon a time")
    page.wait_for_function(
        """() => {
          const lanes = [...document.querySelectorAll('.token-stream')]
            .filter((lane) => lane.offsetParent && lane.dataset.state === 'running');
          return lanes.length === 2 && lanes.every((lane) => lane.querySelector('[data-i]'));
        }"""
    )
    lanes = _lanes(page)
    expect(lanes).to_have_count(2)
    left, right = (_ended(lanes.nth(n)).bounding_box() for n in (0, 1))
    assert left and right and abs(left["width"] - right["width"]) <= 1
    assert left["y"] == right["y"] and left["x"] < right["x"]
    assert _text(lanes.nth(0)) != _text(lanes.nth(1))
    shoot(page, "complete")


def test_one_text_through_the_base_and_chat_lens(page: Page, shoot: Shoot) -> None:
    open_tab(page, "Complete")
    page.get_by_label("Text for every lane").fill("hello,how are you")
    page.get_by_role("button", name="Base and chat lens").click()
    lanes = _lanes(page)
    expect(lanes).to_have_count(4)
    raw, templated, told, base = (_ended(lanes.nth(n)) for n in range(4))
    for lane in (templated, told):
        expect(lane.locator("details.prompt")).to_contain_text("<|im_start|>")
    expect(told.locator("details.prompt")).to_contain_text("sentence")
    for lane in (raw, base):
        expect(lane.locator("details.prompt [data-i]").first).to_be_visible()
        expect(lane.locator("details.prompt")).not_to_contain_text("<|im_start|>")
    expect(base).to_contain_text("tiny-base")
    assert _text(raw) != _text(templated)
    shoot(page, "lens")


def test_chats_beside_each_other_answer_one_message(page: Page, shoot: Shoot) -> None:
    _ask(page, "What is the capital of France?")
    _ended(_lanes(page).first)
    page.get_by_role("button", name="Add lane").locator("visible=true").click()
    panel = page.locator(".decoding-panel:visible")
    expect(panel.get_by_role("heading")).to_have_text("Lane 2")
    chats = page.locator("#chat-messages .lane-column:visible")
    expect(chats.nth(1)).to_contain_text("What is the capital of France?")
    _setting(page, "System prompt").fill("Answer with one word.")
    expect(_heads(page).nth(1)).to_contain_text("System prompt “Answer with one word.”")
    expect(_heads(page).nth(0)).to_contain_text("no system prompt")
    _ask(page, "What is the capital of Japan?")
    for number in range(2):
        expect(chats.nth(number)).to_contain_text("What is the capital of Japan?")
        expect(_lanes(page).nth(number).locator("details.prompt")).to_contain_text("Japan")
        _ended(_lanes(page).nth(number))
    left, right = (chats.nth(n).bounding_box() for n in (0, 1))
    assert left and right and abs(left["width"] - right["width"]) <= 1 and left["x"] < right["x"]
    expect(page.locator("#chat-run")).to_be_visible()
    shoot(page, "chats")
    chats.nth(1).get_by_label("Undo").first.click()
    expect(page.locator("#chat-message textarea")).to_have_value("What is the capital of Japan?")
    for number in range(2):
        expect(chats.nth(number)).not_to_contain_text("What is the capital of Japan?")
    chats.nth(0).get_by_label("Clear").first.click()
    expect(_answers(page)).to_have_count(0)
    page.get_by_role("button", name="Remove lane").locator("visible=true").click()
    expect(chats).to_have_count(1)
    expect(panel.get_by_role("heading")).to_have_text("Settings")


def test_a_locked_setting_is_the_same_in_every_lane(page: Page) -> None:
    open_tab(page, "Complete")
    panel = _settings_of(page, 1)
    lock = panel.get_by_role("button", name="Temperature: the same in every lane")
    _setting(page, "Temperature").fill("0.7")
    lock.click()
    expect(lock).to_have_attribute("aria-pressed", "true")
    _settings_of(page, 2)
    expect(_setting(page, "Temperature")).to_have_value("0.7")
    _setting(page, "Temperature").fill("0.4")
    _setting(page, "Strategy").select_option("Temperature 1.5")
    expect(_setting(page, "Temperature")).to_have_value("0.4")
    _settings_of(page, 1)
    expect(_setting(page, "Temperature")).to_have_value("0.4")
    _setting(page, "New tokens").fill("9")
    panel.get_by_role("button", name="Copy to lane 2").click()
    _settings_of(page, 2)
    expect(_setting(page, "New tokens")).to_have_value("9")


def test_columns_are_added_and_removed(page: Page) -> None:
    open_tab(page, "Complete")
    expect(_lanes(page)).to_have_count(2)
    for count in (3, 4, 5, 6, 7, 8, 8):
        page.get_by_role("button", name="Add lane").locator("visible=true").click()
        expect(_lanes(page)).to_have_count(count)
    for count in (7, 6, 5, 4, 3, 2, 1, 1):
        page.get_by_role("button", name="Remove lane").locator("visible=true").click()
        expect(_lanes(page)).to_have_count(count)


def test_strategies_differ(page: Page, shoot: Shoot) -> None:
    open_tab(page, "Strategies")
    _example(page, "Once upon a time")
    lanes = _lanes(page)
    expect(lanes).to_have_count(5)
    said = [_text(_ended(lanes.nth(n))) for n in range(5)]
    # Those that draw throw the same dice, so two of them may well write the same.
    assert all(said) and len(set(said)) >= 3, said
    expect(lanes.nth(0)).to_contain_text("greedy")
    expect(lanes.nth(1)).to_contain_text("beam search")
    shoot(page, "strategies")


def test_one_panel_edits_the_column_it_names(page: Page, shoot: Shoot) -> None:
    open_tab(page, "Strategies")
    heads = _heads(page)
    expect(heads).to_have_count(5)
    panel = _settings_of(page, 2)
    expect(heads.nth(1)).to_have_class(re.compile("edited"))
    _setting(page, "Strategy").select_option("Contrastive search")
    expect(heads.nth(1)).to_contain_text("contrastive alpha 0.6")
    _setting(page, "Temperature").fill("0.5")
    for place in (heads.nth(1), panel):
        expect(place).to_contain_text("ignored: Temperature")
    panel.get_by_role("button", name="Settings of lane 3").click()
    expect(panel.get_by_role("heading")).to_have_text("Lane 3")
    expect(_setting(page, "Strategy")).to_have_value("Top-k")
    shoot(page, "settings")
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Settings of lane 3")
    _example(page, "Once upon a time")
    lanes = _lanes(page)
    expect(_ended(lanes.nth(1))).to_contain_text("Contrastive search, changed")
    expect(lanes.nth(1)).to_contain_text("ignored: Temperature")
    expect(lanes.nth(0).locator(".title")).to_have_text("Greedy")


def test_what_is_wrong_with_a_setting_stands_at_it(page: Page) -> None:
    open_tab(page, "Strategies")
    panel = _settings_of(page, 1)
    _group(page, "Words")
    _setting(page, "Bias").fill("dragon = 4\nfox")
    row = panel.locator("[data-name=bias] .wrong")
    expect(row).to_contain_text("Bias, line 2: “fox”")
    expect(_setting(page, "Bias")).to_have_attribute("aria-invalid", "true")
    _example(page, "Once upon a time")
    lanes = _lanes(page)
    expect(lanes.nth(0).locator(".problem")).to_contain_text("Bias, line 2: “fox”")
    expect(_ended(lanes.nth(2))).to_have_attribute("data-state", "finished")
    _setting(page, "Bias").fill("dragon = 4\nfox = -4")
    expect(row).to_be_hidden()
    expect(_heads(page).first).to_contain_text("2 biased")
    page.locator("#strategies-run").click()
    expect(lanes.nth(0)).to_have_attribute("data-state", "finished")
    expect(lanes.nth(0)).to_contain_text("2 biased")


def test_settings_are_used_for_all_columns_and_outlive_them(page: Page) -> None:
    open_tab(page, "Complete")
    panel = _settings_of(page, 2)
    _setting(page, "Strategy").select_option("Beam search")
    _setting(page, "New tokens").fill("5")
    panel.get_by_role("button", name="Use for all lanes").click()
    chosen = page.locator(".decoding-head:visible select.preset")
    for number in range(2):
        expect(chosen.nth(number)).to_have_value("Beam search")
    page.get_by_role("button", name="Remove lane").locator("visible=true").click()
    expect(panel).to_have_count(0)
    page.get_by_role("button", name="Add lane").locator("visible=true").click()
    expect(chosen.nth(1)).to_have_value("Beam search")
    _example(page, "The capital of France is")
    for number in range(2):
        expect(_ended(_lanes(page).nth(number))).to_contain_text("5 tokens")


def test_a_chat_can_be_steered_from_its_panel(page: Page) -> None:
    _group(page, "Words")
    _setting(page, "The answer begins with").fill("The capital")
    _setting(page, "New tokens").fill("8")
    _ask(page, "What is the capital of France?")
    lane = _ended(_lanes(page).first)
    expect(lane).to_contain_text("greedy · begun")
    assert _answers(page).first.inner_text().startswith("The capital")


def test_a_tokens_candidates_open(page: Page, shoot: Shoot) -> None:
    open_tab(page, "Tokens")
    _example(page, "The capital of France is")
    lane = _ended(_lanes(page).first)
    token = lane.locator(FIRST_TOKEN).first
    token.click()
    panel = page.locator("#token-popover")
    expect(panel).to_be_visible()
    expect(panel.locator("li")).to_have_count(10)
    expect(panel.locator("li.chosen")).to_have_count(1)
    shoot(page, "tokens")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    token.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(panel).to_contain_text("token 2")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_the_step_table_is_the_same_run(page: Page) -> None:
    open_tab(page, "Tokens")
    _example(page, "The capital of France is")
    lane = _ended(_lanes(page).first)
    chosen = lane.locator(FIRST_TOKEN).first.inner_text().strip("·␣ ")
    lane.get_by_role("button", name="Table", exact=True).click()
    lane.locator(".body").evaluate("body => { body.scrollTop = 0; }")
    first = lane.locator(".row[data-i='0']")
    expect(first).to_contain_text(re.compile(r"\d %|\d%"))
    expect(first).to_contain_text(chosen)


def test_a_branch_goes_on_beside_its_run_and_is_pruned_and_brought_back(
    page: Page, shoot: Shoot
) -> None:
    """Greedy goes on with its own choice: what is forked by ids is the same text to the end."""
    open_tab(page, "Tokens")
    _example(page, "Once upon a time")
    first, second = _lanes(page).nth(0), _lanes(page).nth(1)
    _ended(first).locator("[data-i='4']").click()
    page.locator("#token-popover li.chosen button").click()
    expect(_ended(second).locator(".title")).to_contain_text("at 5")
    assert _text(second) == _text(first)
    first.locator("[data-i='2']").click()
    page.locator("#token-popover button[data-candidate]").nth(1).click()
    third = _ended(_lanes(page).nth(2))
    assert _text(third) != _text(first)
    branches = page.get_by_role("tree", name="Branches").get_by_role("treeitem")
    expect(branches).to_have_count(3)
    shoot(page, "branches")
    branches.nth(1).focus()
    page.keyboard.press("Delete")
    expect(branches).to_have_count(2)
    expect(_lanes(page)).to_have_count(2)
    page.get_by_role("button", name="Undo pruning").click()
    expect(branches).to_have_count(3)
    expect(_lanes(page)).to_have_count(3)


def test_a_run_is_paused_and_goes_on_token_by_token(page: Page) -> None:
    open_tab(page, "Tokens")
    _setting(page, "New tokens").fill(str(LONG))
    _example(page, "Once upon a time")
    lane = _lanes(page).first
    page.get_by_label("Speed", exact=True).fill("3")
    lane.locator(FIRST_TOKEN).nth(1).wait_for()
    # The slider that was just moved still has the focus: it writes no letters, so keys go on.
    expect(page.get_by_label("Speed", exact=True)).to_be_focused()
    page.keyboard.press("p")
    expect(lane.locator(".say")).to_have_text("Paused")
    count = lane.locator(".tok[data-i]").count()
    page.keyboard.press("n")
    expect(lane.locator(".tok[data-i]")).to_have_count(count + 1)
    expect(lane.locator(".say")).to_have_text("Paused")
    expect(page.get_by_role("button", name="Use the settings")).to_be_enabled()
    page.keyboard.press("p")
    lane.locator(FIRST_TOKEN).nth(count + 2).wait_for()
    page.keyboard.press("Escape")
    expect(lane).to_contain_text("Stopped. What was written stays.")


def test_a_branch_of_a_chats_answer_opens_in_the_tokens_tab(page: Page) -> None:
    """That tab was never in sight: told gr.skip() before that, its parts once lost their props."""
    _ask(page, "What is the capital of France?")
    _ended(_lanes(page).first).locator(".body > .running [data-i='2']").click()
    page.locator("#token-popover button[data-candidate]").nth(1).click()
    branches = page.get_by_role("tree", name="Branches").get_by_role("treeitem")
    expect(branches).to_have_count(2)
    expect(branches.first).to_contain_text("The run in Chat")
    expect(_ended(_lanes(page).nth(1))).to_contain_text("chat template")


def test_models_are_swapped_and_unloaded(page: Page, shoot: Shoot) -> None:
    open_tab(page, "Models")
    _choose(page, "Model", "builtin/tiny-base")
    notice = page.locator("#models-notice")
    page.locator("#models-load").click()
    expect(notice).to_contain_text("tiny-base is ready")
    shoot(page, "models")
    # Another journey may have left a quantized copy of it in the list.
    name = page.locator("th > bdi", has_text=re.compile("^tiny-base$"))
    row = page.locator("#models-list tr").filter(has=name)
    row.get_by_role("button", name="Pin tiny-base").click()
    expect(notice).to_contain_text("tiny-base is pinned")
    expect(row.get_by_role("button", name="Unload tiny-base")).to_have_count(0)
    row.get_by_role("button", name="Unpin tiny-base").click()
    row.get_by_role("button", name="Unload tiny-base").click()
    expect(notice).to_contain_text("tiny-base is unloaded")
    expect(row).to_contain_text("not loaded")
    page.locator("#models-ask").click()
    expect(page.locator("#models-fit")).to_contain_text("working room")
    expect(page.locator("#models-fit")).to_contain_text("fits")
    _choose(page, "Model", "builtin/tiny-chat")
    page.locator("#models-swap").click()
    expect(notice).to_contain_text("tiny-chat is ready")


def _runs_again(page: Page) -> None:
    """After whatever was wrong, a plain run in the Tokens tab works."""
    open_tab(page, "Tokens")
    _choose(page, "Model", "builtin/tiny-chat")
    _example(page, "The capital of France is")
    expect(_lanes(page).first).to_have_attribute("data-state", "finished")


def test_an_unknown_model_is_a_sentence(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model here")
    open_tab(page, "Tokens")
    lane = _lanes(page).first
    for given, word in (("nobody/nothing", "nobody/nothing"), (str(tmp_path), "config.json"),
                        (str(tmp_path / "gone"), "no such folder"), ("not a name!", "name")):
        _choose(page, "Model", given)
        _example(page, "The capital of France is")
        expect(lane).to_have_attribute("data-state", "failed")
        expect(lane.locator(".problem")).to_contain_text(word)
        assert "Traceback" not in lane.inner_text()
    _runs_again(page)


def test_bad_input_is_a_sentence_that_names_the_field(page: Page) -> None:
    open_tab(page, "Tokens")
    lane, run = _lanes(page).first, page.locator("#tokens-run")
    notice = page.locator("#tokens-notice")
    run.click()
    expect(notice).to_contain_text("The prompt is empty.")
    page.get_by_label("Prompt", exact=True).locator("visible=true").fill("word " * 5000)
    run.click()
    expect(lane.locator(".problem")).to_contain_text(re.compile("context", re.I))
    page.get_by_label("Prompt", exact=True).locator("visible=true").fill("The")
    _setting(page, "Temperature").fill("")
    expect(page.locator(".decoding-panel:visible .wrong:visible")).to_contain_text("is empty")
    run.click()
    expect(notice).to_contain_text("Temperature")
    _setting(page, "Temperature").fill("1")
    _runs_again(page)


def test_an_empty_message_keeps_the_chat(page: Page) -> None:
    _ask(page, "Hello!")
    _ended(_lanes(page).first)
    expect(_answers(page)).not_to_have_count(0)
    _ask(page, "  ")
    expect(page.locator("#chat-notice")).to_contain_text("The message is empty.")
    expect(_answers(page)).not_to_have_count(0)


def test_a_tab_closed_in_mid_stream_frees_its_place(visit: Callable[..., Page]) -> None:
    left, stays = visit(), visit()
    open_tab(left, "Tokens")
    _setting(left, "New tokens").fill(str(LONG))
    _example(left, "Once upon a time")
    _lanes(left).first.locator(FIRST_TOKEN).first.wait_for()
    left.close()
    _runs_again(stays)
    expect(stays.locator("#header")).not_to_contain_text("in use", timeout=20_000)


def test_what_a_visitor_writes_is_shown_and_never_run(page: Page) -> None:
    """Gradio evaluates ``${}`` and ``{{}}`` of an HTML template; no text may ever get there."""
    nasty = "<img src='data:,' onerror=alert(1)> ${alert(2)} {{7*7}} <script>alert(3)</script>"
    open_tab(page, "Tokens")
    page.get_by_label("Prompt", exact=True).locator("visible=true").fill(nasty)
    page.locator("#tokens-run").click()
    lane = _ended(_lanes(page).first)
    lane.locator("details.prompt summary").click()
    expect(lane.locator("details.prompt")).to_contain_text("onerror")
    open_tab(page, "Chat")
    _ask(page, nasty)
    _ended(_lanes(page).first)


def test_a_picture_of_another_host_is_never_fetched(page: Page) -> None:
    """Its address could carry the conversation away; the Content-Security-Policy forbids it."""
    _ask(page, "![a](https://example.org/a.png) <img src='https://example.org/b.png'>")
    _ended(_lanes(page).first)
    expect(_answers(page)).not_to_have_count(0)
    refused = [said for said in page.watch.complaints if "Content Security Policy" in said]
    assert page.watch.complaints == refused
    page.watch.complaints.clear()


def _run_example(page: Page, tab: str) -> None:
    """Whatever the tab does first, done."""
    if tab in ("Models", "Recipe", "Records"):
        return
    if tab == "Chat":
        _ask(page, "Hello!")
    elif tab == "Blind":
        page.locator(".blind .pill").first.click()
        page.locator(".blind .side-box").first.wait_for()
        return
    else:
        page.locator("button.example:visible").first.click()
    if tab == "Grid":
        expect(page.locator(".grid-board .status")).to_contain_text("8 of 8 done")
    elif tab == "Inside":
        expect(page.locator(".inside-view.tokenizer .tz-token").first).to_be_visible()
    else:
        _ended(_lanes(page).first)


def test_a_phone_never_scrolls_sideways(visit: Callable[..., Page], shoot: Shoot) -> None:
    page = visit(width=390, height=844)
    for tab in TABS:
        open_tab(page, tab)
        _run_example(page, tab)
        shoot(page, f"phone-{tab.lower()}")
        if tab in ("Complete", "Strategies"):
            _settings_of(page, 1)
            shoot(page, f"phone-{tab.lower()}-settings")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{tab} is {wide} px wide"


def test_on_a_phone_the_settings_of_a_chat_stand_under_it(visit: Callable[..., Page]) -> None:
    """They once stood beside it, in what 390 px left of the width: a strip of 45 px."""
    page = visit(width=390, height=844)
    chat = page.locator(".chat-body > .lanes-side").bounding_box()
    panel = page.locator(".chat-body > .side").bounding_box()
    assert panel["y"] >= chat["y"] + chat["height"]
    assert panel["width"] == chat["width"] > 300


def test_on_a_phone_no_button_covers_what_is_said_of_a_model(visit: Callable[..., Page]) -> None:
    page = visit(width=390, height=844)
    open_tab(page, "Models")
    row = page.locator("#models-list tbody tr").first
    button = row.locator(".wishes").bounding_box()
    cells = [cell.bounding_box() for cell in row.locator("th, td:not(.wishes):visible").all()]
    assert len(cells) in (3, 6)  # what is not known of a model that is not loaded is left out
    for cell in cells:
        is_left = cell["x"] + cell["width"] <= button["x"]
        assert is_left or cell["y"] >= button["y"] + button["height"]


def test_the_scale_of_a_narrow_lane_is_one_line(visit: Callable[..., Page]) -> None:
    page = visit()
    open_tab(page, "Strategies")
    scales = page.locator(".ts .scale:visible")
    expect(scales.first).to_be_visible()
    heights = [scale.bounding_box()["height"] for scale in scales.all()]
    assert len(heights) == 5 and max(heights) < 24


def test_every_tab_in_the_dark(visit: Callable[..., Page], shoot: Shoot) -> None:
    page = visit(dark=True)
    for tab in TABS:
        open_tab(page, tab)
        _run_example(page, tab)
        shoot(page, f"dark-{tab.lower()}")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", ground)[:3])) < 150, ground
