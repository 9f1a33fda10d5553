"""The token view in a real Chromium, fed with made-up events by ``token_stream_app.py``."""

from __future__ import annotations

import csv
import io
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def views(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page of token views, in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("views") / "log"
    environ = {**os.environ, "PYTHONPATH": str(root), "PORT": str(port)}
    script = Path(__file__).with_name("token_stream_app.py")
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, str(script)], env=environ, stdout=out, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)
    assert "Traceback" not in log.read_text(), log.read_text()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 150
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"no page of token views:\n{log.read_text()}")


@pytest.fixture(scope="module")
def complaints() -> list[str]:
    """Console errors, page errors, dialogs and requests to other hosts, of all pages."""
    return []


@pytest.fixture(scope="module")
def open_page(views: str, browser: Browser, complaints: list[str]) -> Iterator[Open]:
    """Opens the page in a profile of its own: ``open_page(width=390, dark=True)``."""
    contexts = []
    expect.set_options(timeout=20_000)

    def complain(kind: str, what: object) -> None:
        complaints.append(f"{kind}: {what}")

    def open_one(width: int = 1280, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 860}, has_touch=width < 600
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: said.type == "error" and complain("console", said.text))
        page.on("pageerror", lambda error: complain("page error", error))
        page.on("dialog", lambda dialog: (complain("dialog", dialog.message), dialog.dismiss()))
        page.on("request", lambda asked: _judge(asked.url, views, complain))
        page.goto(f"{views}?__theme={'dark' if dark else 'light'}")
        page.locator("#lane-1 header .switch").wait_for()
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def one_page(open_page: Open) -> Page:
    """The page that most tests share; see ``page`` for how each finds it."""
    return open_page()


@pytest.fixture
def page(one_page: Page) -> Page:
    """The page in the text view with nothing pinned and no handler of the last test under way; a
    run starts every lane anew."""
    one_page.wait_for_function("(window.pressed ?? 0) === (window.ended ?? 0)", timeout=60_000)
    one_page.keyboard.press("Escape")
    one_page.mouse.move(2, 2)
    show(one_page, "text")
    return one_page


@pytest.fixture(autouse=True)
def _no_complaints(complaints: list[str]) -> Iterator[None]:
    complaints.clear()
    yield
    assert complaints == []


def _judge(asked: str, home: str, complain: Callable[[str, object], None]) -> None:
    if asked.startswith("http") and urlsplit(asked).netloc != urlsplit(home).netloc:
        complain("request", asked)


def press(page: Page, button: str) -> None:
    """Presses a button whose handler has ended: Gradio drops a press while it has not, which is a
    moment later than a lane has finished."""
    page.wait_for_function("(window.pressed ?? 0) === (window.ended ?? 0)", timeout=60_000)
    page.evaluate("window.pressed = (window.pressed ?? 0) + 1")
    page.locator(f"#{button}").click()


def run(page: Page, button: str, lane: str = "#lane-0") -> Locator:
    """Presses the button and waits until the lane is done with what it showed before, and anew."""
    page.locator(f"{lane} .ts").evaluate("e => { e.dataset.state = 'before'; }")
    press(page, button)
    page.locator(f"{lane} .ts[data-state=finished]").wait_for(timeout=60_000)
    return page.locator(lane)


def show(page: Page, view: str, lane: str = "#lane-0") -> None:
    page.locator(f"{lane} header .switch [data-view={view}]").click()


def no_sideways_scroll(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_tokens_appear_as_they_come(open_page: Open, shoot: Callable[[Page, str], None]) -> None:
    page = open_page()
    lane = page.locator("#lane-0")
    expect(lane.locator(".hint")).to_have_text("Press Run.")
    press(page, "slow")
    page.wait_for_function(
        """() => document.querySelector('#lane-0 .ts[data-state=running] .body .tok') !== null"""
    )
    before = lane.locator(".body .tok").count()
    expect(lane.locator(".say")).to_have_text("Writing")
    expect(lane.locator(".body .tok").nth(before + 10)).to_be_attached()
    assert lane.locator(".ts").get_attribute("data-state") == "running"
    expect(page.locator("#lane-1 .title")).to_have_text("Top-p 0.9")
    shoot(page, "token-stream-running")


def test_text_is_the_text(page: Page) -> None:
    lane = run(page, "run")
    lines = lane.locator(".body .line").all_inner_texts()
    assert [line for line in lines if line.strip()] == [
        "Paris, a city on the Seine with two million people.",
        "Its oldest bridge is called the new bridge. 中",
    ]
    expect(lane.locator(".say")).to_have_text("The model ended here.")


def test_nothing_jumps_while_text_streams(page: Page) -> None:
    heights = set()
    press(page, "run")
    for _ in range(15):
        heights.add(page.locator("#lane-0").bounding_box()["height"])
        page.wait_for_timeout(60)
    assert len(heights) == 1


def test_what_the_model_writes_is_never_html(page: Page) -> None:
    lane = run(page, "tricks")
    for view in ("text", "tokens", "table"):
        show(page, view)
        page.wait_for_timeout(100)
        assert lane.locator(".body :is(img, script)").count() == 0
    show(page, "tokens")
    expect(lane.locator(".body .tok")).to_have_count(18)
    shown = lane.locator(".body .tok").all_text_contents()
    assert shown[:5] == [
        "${alert(1)}",
        "{{value}}",
        "<img·src=x·onerror=alert(2)>",
        "</script>",
        "<script>alert(3)</script>",
    ]


def test_tokens_are_visible_for_what_they_are(page: Page) -> None:
    lane = run(page, "tricks")
    show(page, "tokens")
    expect(lane.locator(".body .tok")).to_have_count(18)
    shown = lane.locator(".body .tok").all_text_contents()
    assert shown[5:9] == ["⇥", "··", "ZWSP", "RLO"]
    # The first of them is a space and one byte of three: it was a bare space, its byte unseen.
    assert shown[-4:] == ["·<0xE4>", "<0xB8>", "中", "<|im_end|>"]
    assert lane.locator(".body .half").count() == 2
    assert lane.locator(".body .special").count() == 1


def test_surprise_is_tinted_and_the_measure_can_be_changed(page: Page) -> None:
    lane = run(page, "run")
    show(page, "tokens")

    def colour(index: int) -> str:
        token = lane.locator(f".body [data-i='{index}']")
        return str(token.evaluate("e => getComputedStyle(e).backgroundColor"))

    plain = "rgba(0, 0, 0, 0)"
    assert colour(0) == plain  # 82 %
    assert len({colour(k) for k in range(6)}) == 6
    expect(lane.locator(".scale")).to_contain_text("expected")
    lane.get_by_label("Tokens coloured by").select_option("rank")
    assert colour(0) == colour(1) == plain  # both were the first choice
    expect(page.locator("#lane-1 .scale")).to_contain_text("first choice")


def test_hover_shows_the_candidates(page: Page, shoot: Callable[[Page, str], None]) -> None:
    lane = run(page, "run")
    show(page, "tokens")
    lane.locator(".body [data-i='1']").hover()
    panel = page.locator(".token-popover")
    expect(panel).to_be_visible()
    assert panel.locator("li").count() == 10
    expect(panel.locator("li.chosen .tok")).to_have_text(",")
    expect(panel.locator(".titles")).to_contain_text("as chosen")
    expect(panel.locator(".facts")).to_contain_text("34 %")
    shoot(page, "token-stream-candidates")
    page.mouse.move(2, 2)
    expect(panel).to_be_hidden()


def test_a_chosen_token_outside_the_list_is_listed(page: Page) -> None:
    lane = run(page, "run")
    lane.locator(".body [data-i='5']").click()
    panel = page.locator(".token-popover.pinned")
    assert panel.locator("li").count() == 11
    expect(panel.locator("li.outside.chosen .tok")).to_have_text("·the")
    expect(panel.locator(".rest")).to_contain_text("all other tokens")
    expect(panel.locator(".facts")).to_contain_text("57")


def test_escape_closes_the_candidates_before_it_reaches_the_page(page: Page) -> None:
    """Escape also stops a run; one press must not do both."""
    lane = run(page, "run")
    page.evaluate("""() => { window.escapes = 0; document.addEventListener('keydown', (event) => {
        if (event.key === 'Escape') window.escapes += 1; }); }""")
    lane.locator(".body [data-i='5']").click()
    expect(page.locator(".token-popover.pinned")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".token-popover")).to_be_hidden()
    assert page.evaluate("window.escapes") == 0
    page.keyboard.press("Escape")
    assert page.evaluate("window.escapes") == 1


def test_keys_walk_the_tokens_and_pin_the_candidates(page: Page) -> None:
    lane = run(page, "run")
    show(page, "tokens")
    expect(lane.locator(".body [tabindex='0']")).to_have_count(1)
    lane.locator(".body [tabindex='0']").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    focused = lane.locator(".body [data-i='1']")
    expect(focused).to_be_focused()
    expect(lane.locator(".body [tabindex='0']")).to_have_count(1)
    label = focused.get_attribute("aria-label")
    assert label == "token 2 of 27: ,, 34 %, rank 1"
    panel = page.locator(".token-popover")
    expect(panel).to_be_visible()
    page.keyboard.press("Enter")
    expect(panel).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(panel.locator(".where")).to_have_text("token 3")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(lane.locator(".body [data-i='2']")).to_be_focused()
    page.keyboard.press("End")
    expect(lane.locator(".body [data-i='26']")).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(lane.locator(".body [data-i='13']")).to_be_focused()  # the empty line below


def test_the_table_shows_every_step_and_holds_few_rows(
    page: Page, shoot: Callable[[Page, str], None]
) -> None:
    lane = run(page, "long")
    show(page, "table")
    rows = lane.locator(".sheet .row")
    expect(rows.last).to_have_attribute("data-i", "4005")
    assert rows.count() < 40
    lane.locator(".body").evaluate("e => { e.scrollTop = 0; }")
    first = lane.locator(".sheet [data-i='0']")
    expect(first.locator(".sentence .new")).to_have_text("·Paris")
    expect(first.locator(".hit")).to_contain_text("82 %")
    sixth = lane.locator(".sheet [data-i='5']")
    expect(sixth.locator(".chosen .figure")).to_contain_text("#57")
    assert sixth.locator(".hit").count() == 0
    first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(lane.locator(".sheet [data-i='2']")).to_be_focused()
    expect(lane.locator(".sheet [tabindex='0']")).to_have_count(1)
    page.keyboard.press("End")
    expect(lane.locator(".sheet [data-i='4005']")).to_be_focused()
    anchor = lane.locator(".sheet [data-i='4005']").bounding_box()
    panel = page.locator(".token-popover").bounding_box()
    assert panel["y"] + panel["height"] <= anchor["y"] or panel["y"] >= anchor["y"] + 30
    shoot(page, "token-stream-table")


def test_a_table_without_a_step_has_no_head(open_page: Open) -> None:
    """Its columns are those of its steps: the head of none drew all its words over each other."""
    page = open_page()
    show(page, "table")
    lane = page.locator("#lane-0")
    expect(lane.locator(".hint")).to_be_visible()
    expect(lane.locator(".steps .head")).to_be_hidden()
    run(page, "run")
    cells = lane.locator(".steps .head .cell")
    names = [f"Top {k}" for k in range(1, 6)]
    expect(cells).to_have_text(["Step", "Text so far", "Chosen", *names])


def test_lost_slices_are_filled_in_a_tab_that_was_hidden(open_page: Open) -> None:
    """The lane was not mounted while its run went by, and nine of ten slices were lost."""
    page = open_page()
    with page.expect_response(lambda answer: "/queue/data" in answer.url):
        press(page, "gap")
    page.get_by_role("tab", name="Second").click()
    lane = page.locator("#hidden-lane")
    lane.locator(".ts[data-state=finished]").wait_for()
    expect(lane.locator(".stats dd").first).to_have_text("280")
    expect(lane.locator(".body .tok")).to_have_count(280)
    assert lane.locator(".lost").count() == 0


def test_the_prompt_is_shown_as_the_model_sees_it(page: Page) -> None:
    lane = run(page, "run")
    expect(lane.locator(".prompt summary")).to_have_text("Prompt as the model sees it · 10 tokens")
    lane.locator(".prompt summary").click()
    expect(lane.locator(".prompt .tok")).to_have_count(10)
    assert lane.locator(".prompt .special").all_text_contents() == ["<|im_start|>", "<|im_end|>"]
    expect(lane.locator(".notice")).to_have_text("The template has no system role.")
    lane.locator(".prompt [data-i='0']").hover()
    expect(page.locator(".token-popover .note")).to_have_text("id 1, a control token")


def test_a_search_shows_its_hypotheses_then_the_winner(page: Page) -> None:
    lane = page.locator("#lane-0")
    press(page, "search")
    expect(lane.locator(".say")).to_have_text("Searching")
    expect(lane.locator(".leading")).to_contain_text("Paris, a")
    expect(lane.locator(".beam-step").last.locator(".node")).to_have_count(5)
    lane.locator(".ts[data-state=finished]").wait_for()
    expect(lane.locator(".leading")).to_be_hidden()
    expect(lane.locator(".body .tok")).to_have_count(12)
    expect(lane.locator(".beams > summary")).to_contain_text("won with −0.420")


def test_a_failure_is_a_sentence_and_the_text_stays(page: Page) -> None:
    press(page, "break")
    lane = page.locator("#lane-0")
    expect(lane.get_by_role("alert")).to_have_text(
        "Memory ended in the middle of the answer. Ask for fewer tokens."
    )
    expect(lane.locator(".body .running")).to_have_text("Paris, a city on the")


def test_a_reader_who_scrolled_up_is_left_in_peace(page: Page) -> None:
    press(page, "long")
    body = page.locator("#lane-0 .body")
    page.wait_for_function("document.querySelector('#lane-0 .body').scrollTop > 200")
    body.evaluate("e => { e.scrollTop = 40; }")
    page.wait_for_timeout(800)
    assert body.evaluate("e => e.scrollTop") == 40
    body.evaluate("e => { e.scrollTop = e.scrollHeight; }")
    page.locator("#lane-0 .ts[data-state=finished]").wait_for(timeout=60_000)
    page.wait_for_timeout(300)
    assert body.evaluate("e => e.scrollHeight - e.scrollTop - e.clientHeight") < 24


def test_the_chosen_view_is_remembered(open_page: Open) -> None:
    page = open_page()
    show(page, "table")
    expect(page.locator("#lane-1 header .switch [data-view=table]")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.reload()
    expect(page.locator("#lane-1 header .switch [data-view=table]")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.get_by_role("tab", name="Second").click()
    chosen = page.locator("#hidden-lane header .switch [data-view=tokens]")
    expect(chosen).to_have_attribute("aria-pressed", "true")  # another name, its own default


def test_a_candidate_can_be_chosen_only_where_that_is_on(page: Page) -> None:
    run(page, "run").locator(".body [data-i='0']").click()
    expect(page.locator(".token-popover li").first).to_be_visible()
    assert page.locator(".token-popover button.line").count() == 0
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Second").click()
    lane = run(page, "gap", "#hidden-lane")
    token = lane.locator(".body [data-i='274']")
    token.scroll_into_view_if_needed()
    token.click()
    page.locator(".token-popover button.line").nth(1).click()
    expect(page.locator("#said textarea, #said input")).to_have_value(re.compile(r"^take:274:\d+$"))


def said(page: Page) -> Locator:
    """What the handler of ``branch`` was told."""
    return page.locator("#said textarea, #said input")


def test_every_other_way_on_is_a_word_that_keys_reach(open_page: Open) -> None:
    """Arrows and Enter alone: ban, draw again, and a text that begins as the model would."""
    page = open_page()
    page.get_by_role("tab", name="Second").click()
    lane = run(page, "fork", "#hidden-lane")
    expect(lane.locator(".body .tok")).to_have_count(11)
    lane.locator(".body [data-i='0']").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")

    def walk_to(words: str) -> None:
        page.keyboard.press("Enter")
        button = page.get_by_role("button", name=words)
        for _ in range(20):
            page.keyboard.press("ArrowDown")
            if button.evaluate("e => e === document.activeElement"):
                break
        page.keyboard.press("Enter")

    walk_to("Ban this token")
    expect(said(page)).to_have_value("ban:9:100")
    walk_to("Draw this one again")
    expect(said(page)).to_have_value("again:9:None")
    walk_to("Put other text here")
    page.keyboard.type(" x")  # an x in a text is no wish for the X-ray
    page.keyboard.press("Enter")
    expect(said(page)).to_have_value("text:9: x")
    expect(lane.locator(".body [data-i='9']")).to_be_focused()


def test_a_branch_says_what_stood_and_what_was_put_there(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("tab", name="Second").click()
    lane = run(page, "fork", "#hidden-lane")
    expect(lane.locator(".body .stood")).to_have_count(4)
    lane.locator(".body .forced").click()
    panel = page.locator(".token-popover.pinned")
    expect(panel.locator(".note").first).to_contain_text("Put there by you")
    expect(panel.locator(".chosen .tick, .chosen.tick").first).to_have_text("put here")
    page.keyboard.press("Escape")
    rest = page.locator("#lane-0")
    rest.locator(".body [data-i='0']").click()
    expect(panel.locator(".where")).to_have_text("token 5")


def test_bytes_and_bits_of_a_token(page: Page) -> None:
    lane = run(page, "run")
    show(page, "tokens")
    lane.locator(".body [data-i='25']").click()  # the last byte of a character of three
    facts = page.locator(".token-popover .facts")
    expect(facts).to_contain_text("byteAD")
    lane.locator(".body [data-i='0']").click()
    expect(facts).to_contain_text("bytes20 50 61 72 69 73")
    expect(facts).to_contain_text("0.3 bits")  # -log2 of 0.82


def test_a_step_that_is_not_stored_is_shown_as_far_as_it_is_known(page: Page) -> None:
    lane = run(page, "run")
    lane.locator(".body [data-i='5']").click()
    page.keyboard.press("x")
    panel = lane.locator(".xray")
    expect(panel.locator(".trouble")).to_contain_text("none of its steps is stored")
    expect(panel.locator(".stages .processor")).to_have_text(
        ["The model itself", "All settings together"]
    )
    expect(panel.locator(".stages .head .chosen")).to_have_text("·the")
    page.keyboard.press("ArrowRight")  # the panel follows the keys
    expect(panel.locator(".xray-title")).to_have_text("X-ray of token 7: ·Seine")
    page.keyboard.press("x")
    expect(panel).to_be_hidden()


def test_the_table_is_saved_as_csv(page: Page) -> None:
    lane = run(page, "tricks")
    show(page, "table")
    lane.get_by_label("Likeliest tokens a step").select_option("2")
    expect(lane.locator(".steps .head .cell")).to_have_count(5)
    with page.expect_download() as coming:
        lane.get_by_role("button", name="Save CSV").click()
    text = Path(coming.value.path()).read_text(encoding="utf-8-sig")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["step", "text before", "chosen", "chosen %", "rank", "top 1", "top 1 %",
                       "top 2", "top 2 %"]
    assert rows[1] == ["1", "", "${alert(1)}", "82", "1", "${alert(1)}", "82", " London", "9"]
    assert rows[3][1:3] == ["${alert(1)}{{value}}", "<img src=x onerror=alert(2)>"]
    assert rows[6][2] == "'\t"  # a spreadsheet would read on after a tab as a formula
    assert {len(row) for row in rows} == {9}
    assert len(rows) == 1 + 18


def test_a_table_in_log_probabilities(page: Page) -> None:
    lane = run(page, "run")
    show(page, "table")
    lane.get_by_label("Figures as").select_option("logprob")
    lane.locator(".body").evaluate("e => { e.scrollTop = 0; }")
    first = lane.locator(".sheet [data-i='0'] .chosen .figure")
    expect(first).to_have_text("−0.20")  # ln 0.82
    lane.get_by_label("Figures as").select_option("percent")
    lane.locator(".body").evaluate("e => { e.scrollTop = 0; }")
    expect(first).to_have_text("82 %")


def test_a_phone_shows_everything_without_sideways_scroll(
    open_page: Open, shoot: Callable[[Page, str], None]
) -> None:
    page = open_page(width=390)
    run(page, "run")
    for view in ("text", "table", "tokens"):
        show(page, view)
        page.wait_for_timeout(100)
        assert no_sideways_scroll(page)
    page.locator("#lane-0 .body [data-i='3']").tap()
    panel = page.locator(".token-popover.pinned")
    expect(panel).to_be_visible()
    box = panel.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    assert box["y"] >= 0
    assert no_sideways_scroll(page)
    shoot(page, "token-stream-phone")


def test_dark_and_light_both_read(open_page: Open, shoot: Callable[[Page, str], None]) -> None:
    """Ink against surface, as computed in the page, at least 7 to 1 in both themes."""
    for dark in (False, True):
        page = open_page(dark=dark)
        lane = run(page, "run")
        ink, surface = lane.locator(".ts").evaluate(
            "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
        )
        low, high = sorted((_luminance(ink), _luminance(surface)))
        assert (high + 0.05) / (low + 0.05) >= 7
        assert (_luminance(ink) > _luminance(surface)) == dark
        show(page, "tokens")
        shoot(page, "token-stream-dark" if dark else "token-stream-light")


def _luminance(colour: str) -> float:
    """WCAG 2.2 relative luminance of ``rgb(r, g, b)``."""
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_four_lanes_stream_in_one_event(page: Page, shoot: Callable[[Page, str], None]) -> None:
    page.get_by_role("tab", name="Four").click()
    run(page, "all", "#four-0")
    show(page, "tokens", "#four-0")
    counts = [page.locator(f"#four-{k} .stats dd").first.text_content() for k in range(4)]
    assert counts == ["96", "12", "96", "46"]
    # The tree of a search stands below; what is above it is as high in every lane.
    heights = {page.locator(f"#four-{k} .main").bounding_box()["height"] for k in range(4)}
    assert len(heights) == 1
    shoot(page, "token-stream-four")
