"""A window of Debian's Chromium, and the checks that every page must pass."""

import hashlib
from contextlib import contextmanager
from importlib import resources

from playwright.sync_api import expect

# The checksum of axe-core 4.12.1 in axe-playwright-python 0.1.8.
AXE_SHA256 = "84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

WIDE = {"width": 1280, "height": 900}
# WCAG 1.4.10 requires that a page works at a width of 320 CSS pixels. A window of 1280 by 1024
# pixels at 400 % has this width too, with four device pixels for each CSS pixel.
PHONE = {"width": 320, "height": 700}
ZOOMED = {"width": 320, "height": 256}

# The console reports each response with an error status. A page that shows an error causes one such
# line, so the tests expect it.
EXPECTED = "Failed to load resource: the server responded with a status of"

# The text spacing of WCAG 1.4.12. It is set with the CSS object model, because the policy of the
# pages has no 'unsafe-inline'.
TEXT_SPACING = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }
    p { margin-bottom: 2em !important; }`);
  document.adoptedStyleSheets = [sheet];
}"""

SPILLS = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const out = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1);
  return [`${document.documentElement.scrollWidth} > ${width}`, ...out.slice(-3).map((e) => e.outerHTML.slice(0, 120))];
}"""

# The number of elements that a keyboard must reach.
REACHABLE = """() => [...document.querySelectorAll("a[href], button, input, textarea, summary, iframe")]
  .filter((e) => e.type !== "hidden" && e.checkVisibility())
  .filter((e) => e.tagName === "SUMMARY" || !e.closest("details:not([open])")).length"""

# Moves the focus to the top of the page. A blur alone would not move the point from which Tab
# continues.
FROM_THE_TOP = """() => {
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
  scrollTo(0, 0);
}"""

FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  window.seen ??= new Map();
  if (!window.seen.has(e)) window.seen.set(e, window.seen.size);
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  return {
    at: window.seen.get(e),
    name: e.outerHTML.slice(0, 120),
    outlined: e.tagName === "IFRAME" || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2),
    shown: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth && box.width > 1,
  };
}"""


def axe_source():
    source = resources.files("axe_playwright_python").joinpath("axe.min.js").read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    assert digest == AXE_SHA256, f"axe.min.js is not the one that was pinned: {digest}"
    return source.decode()


class Window:
    """One browser context. It collects the errors in its console, which fail the test. `packages` is
    the directory with the packages of npm that a page of a test can load."""

    def __init__(self, browser, base, axe, packages, *, script=True, scheme="light", size=None, scale=1, motion="no-preference", locale="en-US"):
        self.base, self.axe, self.packages, self.script = base, axe, packages, script
        self.context = browser.new_context(
            viewport=size or WIDE,
            device_scale_factor=scale,
            color_scheme=scheme,
            reduced_motion=motion,
            java_script_enabled=script,
            base_url=base,
            locale=locale,
        )
        self.context.set_default_timeout(15_000)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=base)
        self.faults = []
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        self.page = self.context.new_page()

    def _console(self, message):
        if message.type in ("error", "warning") and EXPECTED not in message.text:
            self.faults.append(f"{self.page.url}: {message.text}")

    def open(self, path):
        answer = self.page.goto(path)
        self.page.wait_for_load_state("load")
        return answer

    def heading(self, words):
        """Waits until the page has this heading, because the page before it is perhaps still
        shown."""
        expect(self.page.locator("h1")).to_contain_text(words)

    def press(self, words):
        """Presses the button or the link with this name, and waits for the page that is loaded."""
        self.page.get_by_role("button", name=words).or_(self.page.get_by_role("link", name=words)).first.click()
        self.page.wait_for_load_state("load")

    def fits(self):
        spills = self.page.evaluate(SPILLS)
        assert not spills, f"scrolls sideways: {spills}"

    def is_accessible(self):
        self.page.evaluate(self.axe)
        result = self.page.evaluate(
            "(tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations'] })", AXE_TAGS
        )
        found = [
            f"{violation['id']} ({violation['impact']}): {violation['nodes'][0]['html'][:160]} "
            f"{violation['nodes'][0]['failureSummary'][:200]}"
            for violation in result["violations"]
        ]
        assert not found, "axe: " + "\n    ".join(found)
        assert result["testEngine"]["version"] == "4.12.1", result["testEngine"]

    def keyboard_reaches_everything(self):
        count = self.page.evaluate(REACHABLE)
        self.page.evaluate(FROM_THE_TOP)
        reached = 0
        # If the page shows a mail in a frame, the frame has the focus for each link in the mail.
        # While the focus moves into the process of the frame, no element has the focus. After the
        # last element the focus returns to the first element.
        for _ in range(count + 20):
            self.page.keyboard.press("Tab")
            focus = self.page.evaluate(FOCUSED)
            if focus is None:
                continue
            if focus["at"] < reached - 1:
                break
            reached = focus["at"] + 1
            assert focus["outlined"], f"focus is not seen: {focus['name']}"
            assert focus["shown"], f"focus is out of sight: {focus['name']}"
        assert reached == count, f"the keyboard reaches {reached} of {count}"

    def close(self):
        self.context.close()
        assert not self.faults, "\n    ".join(self.faults)


@contextmanager
def window(browser, base, axe, packages, **how):
    opened = Window(browser, base, axe, packages, **how)
    try:
        yield opened
    except BaseException:
        opened.context.close()
        raise
    opened.close()
