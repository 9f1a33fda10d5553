"""How the page looks, and its keys: quiet surfaces, one accent, nothing fetched from elsewhere."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).parent / "assets"
STYLES = [ASSETS / "page.css", ASSETS / "decoding_panel.css"]

SANS = (
    "ui-sans-serif",
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Noto Sans",
    "sans-serif",
)
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")

KEYS = """
() => {
  const seen = (selector) =>
    [...document.querySelectorAll(selector)].find((b) => b.offsetParent !== null);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) {
      const stop = seen("button.stop-run");
      if (stop) stop.click();
    }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const run = seen("button.start-run");
      if (run) { event.preventDefault(); run.click(); }
    }
  });
  // The arrow keys walk along a row of tabs.
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.('[role="tab"]');
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!tab || !step) return;
    event.preventDefault();
    const row = [...tab.parentNode.querySelectorAll('[role="tab"]')];
    const next = row.at((row.indexOf(tab) + step) % row.length);
    next.focus();
    next.click();
  });
  // Gradio's Textbox tells of keys only, and of nothing that is deleted, pasted or composed.
  let typed = null;
  document.addEventListener("keypress", (event) => {
    if (!event.isTrusted) return;
    typed = event.target;
    setTimeout(() => { typed = null; });
  }, true);
  document.addEventListener("input", ({ target }) => {
    if (target !== typed && target.matches("[data-testid=textbox]")) {
      target.dispatchEvent(new KeyboardEvent("keypress"));
    }
  });
  // The chats and their tokens are two rows of the same lanes: they scroll sideways together.
  document.addEventListener("scroll", ({ target }) => {
    const other = { "chat-lanes": "chat-tokens", "chat-tokens": "chat-lanes" };
    const mine = Object.keys(other).find((name) => target.classList?.contains(name));
    const row = mine && document.querySelector(`.${other[mine]}`);
    if (row && Math.abs(row.scrollLeft - target.scrollLeft) > 1) row.scrollLeft = target.scrollLeft;
  }, true);
}
"""


def theme() -> gr.themes.Base:
    """Slate neutrals and one blue accent, small spacing, the fonts of the reader's own system."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.indigo,
        secondary_hue=gr.themes.colors.indigo,
        neutral_hue=gr.themes.colors.slate,
        text_size=gr.themes.sizes.text_sm,
        spacing_size=gr.themes.sizes.spacing_sm,
        radius_size=gr.themes.sizes.radius_md,
        font=[gr.themes.Font(name) for name in SANS],
        font_mono=[gr.themes.Font(name) for name in MONO],
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        input_background_fill="white",
        input_background_fill_dark="*neutral_950",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        checkbox_label_background_fill="transparent",
        checkbox_label_background_fill_dark="transparent",
        checkbox_label_background_fill_hover="*neutral_100",
        checkbox_label_background_fill_hover_dark="*neutral_800",
        checkbox_label_background_fill_selected="*neutral_100",
        checkbox_label_background_fill_selected_dark="*neutral_800",
        checkbox_label_border_width="1px",
        checkbox_label_border_width_dark="1px",
        checkbox_label_shadow="none",
        slider_color="*primary_700",
        slider_color_dark="*primary_400",
    )
