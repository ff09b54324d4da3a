"""Checks every page in Debian's Chromium. `scripts/lib/browser` starts the daemons and this
program.

    run.py BASE HOME GUARDED GUARDED_HOME GALLERY PACKAGES [-k PATTERN]
        [--screenshots DIRECTORY] [--public URL]

BASE and GUARDED are the URLs of two daemons. The forms of GUARDED require the proof of work. HOME
and GUARDED_HOME are the directories in which these daemons run. PACKAGES is the directory of the
packages in package.json.
"""

import argparse
import io
import json
import sys
import time
import traceback
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from daemon import Daemon
import passkeys  # noqa: F401  adds its flows to FLOWS
import simplewebauthn  # noqa: F401  adds its flows to FLOWS
from flows import FLOWS
from pages import PAGES, PICTURED, SCREENSHOTS
from window import PHONE, TEXT_SPACING, WIDE, ZOOMED, axe_source, window

# Chromium's sandbox needs user namespaces, which most containers do not have. The test can work
# without the sandbox, because it opens only trusted pages.
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
SCREENSHOT_BYTES_MAX = 100 * 1024


def show(window, page, daemon):
    window.open(page.path(daemon))
    page.act(window)
    window.heading(page.heading)


def brightness(window):
    colour = window.page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in colour[4:-1].split(",")[:3]) / 765


def page_wide_and_light(open_window, daemon, page):
    with open_window(size=WIDE, scheme="light", locale=page.locale) as window:
        show(window, page, daemon)
        assert brightness(window) > 0.8
        window.is_accessible()
        window.keyboard_reaches_everything()


def page_narrow_and_dark(open_window, daemon, page):
    with open_window(size=PHONE, scheme="dark", motion="reduce", locale=page.locale) as window:
        show(window, page, daemon)
        assert brightness(window) < 0.2
        window.fits()
        window.is_accessible()
        moving = window.page.evaluate(
            "document.getAnimations().length + [...document.querySelectorAll('*')]"
            ".filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
        )
        assert moving == 0, f"{moving} parts move though less motion was asked for"
        window.page.evaluate(TEXT_SPACING)
        window.fits()


def page_at_four_hundred_percent(open_window, daemon, page):
    with open_window(size=ZOOMED, scale=4, locale=page.locale) as window:
        show(window, page, daemon)
        window.fits()
        window.is_accessible()
        window.keyboard_reaches_everything()


def page_without_script(open_window, daemon, page):
    with open_window(script=False, scheme="dark", locale=page.locale) as window:
        show(window, page, daemon)
        assert window.page.locator("button:visible, a:visible").count() > 0 or "dead" in page.name


def gallery_of(drawn, size, scheme, open_window):
    """Checks every page in every state, as the templates draw it, with the policy of the pages."""
    with open_window(size=size, scheme=scheme) as window:
        # The API reference is left out. It is checked on the daemon that serves it.
        pages = [page for page in drawn["pages"] if not page[0].startswith("our ")]
        headers = {"content-security-policy": drawn["policy"], "content-type": "text/html; charset=utf-8"}

        def answer(route):
            number = int(route.request.url.rpartition("/")[2])
            route.fulfill(body=pages[number][1], headers=headers)

        window.page.route("**/gallery/*", answer)
        # The mail in the frame does not exist on the daemon, so the test serves a mail itself. The
        # refusal of the daemon could not be shown in a frame.
        mail = "<!doctype html><html lang='en'><title>A mail</title><main><h1>A mail</h1></main></html>"
        window.page.route("**/dev/mailbox/*/html", lambda route: route.fulfill(body=mail, content_type="text/html"))
        for number, (name, _) in enumerate(pages):
            window.open(f"/gallery/{number}")
            try:
                window.fits()
                window.is_accessible()
            except AssertionError as error:
                raise AssertionError(f"{name}: {error}") from None


BROKEN = """<!doctype html><html lang="en"><head><title>Broken</title><style>p { color: red }</style></head><body>
<main><h1>Broken</h1><input><img src="data:,"><div id="wide">wide</div><a href="/" id="blind">blind</a></main></body></html>"""


def the_checks_see_what_they_are_meant_to_see(open_window, policy):
    """Opens a page with one fault of each kind. Each check must find its fault."""
    with_faults = None
    try:
        with open_window(size=PHONE) as window:
            with_faults = window
            headers = {"content-security-policy": policy, "content-type": "text/html"}
            window.page.route("**/broken", lambda route: route.fulfill(body=BROKEN, headers=headers))
            window.open("/broken")
            window.page.evaluate(
                "() => { wide.style.width = '900px'; blind.style.outline = 'none'; document.querySelector('input').style.outline = 'none'; }"
            )
            for check in [window.fits, window.is_accessible, window.keyboard_reaches_everything]:
                try:
                    check()
                except AssertionError as error:
                    told = str(error)
                else:
                    raise RuntimeError(f"{check.__name__} found nothing")
                if check == window.is_accessible:
                    assert "label" in told and "image-alt" in told, told
    except AssertionError as error:
        assert "style-src" in str(error), error
    else:
        raise AssertionError("a broken policy went unseen")
    assert len(with_faults.faults) >= 1


def tests(drawn, daemon, guarded, open_window):
    yield "the checks see what they are meant to see", (
        lambda: the_checks_see_what_they_are_meant_to_see(open_window, drawn["policy"])
    )
    for name, script, is_guarded, test in FLOWS:
        of = guarded if is_guarded else daemon

        def run(test=test, script=script, of=of):
            with open_window(base=of.base, script=script) as window:
                test(of, window)

        yield name.replace("_", " "), run
    for page in PAGES:
        for check in [page_wide_and_light, page_narrow_and_dark, page_at_four_hundred_percent, page_without_script]:
            yield f"{check.__name__.replace('_', ' ')}: {page.name}", (
                lambda check=check, page=page: check(open_window, daemon, page)
            )
    for size, scheme in [(WIDE, "light"), (PHONE, "dark")]:
        yield f"gallery, {size['width']} pixels, {scheme}", (
            lambda size=size, scheme=scheme: gallery_of(drawn, size, scheme, open_window)
        )


def run_all(chosen):
    failed = []
    passed = 0
    for name, test in chosen:
        began = time.monotonic()
        try:
            test()
        except Exception as error:  # a failed page must not hide the results of other pages
            failed.append((name, error))
            print(f"test {name} ... FAILED", flush=True)
            where = traceback.extract_tb(error.__traceback__)[-2 if len(traceback.extract_tb(error.__traceback__)) > 1 else -1]
            print(f"    {where.filename.rsplit('/', 1)[-1]}:{where.lineno} {error}", flush=True)
        else:
            passed += 1
            print(f"test {name} ... ok ({time.monotonic() - began:.1f} s)", flush=True)
    word = "FAILED" if failed or not passed else "ok"
    print(f"\ntest result: {word}. {passed} passed; {len(failed)} failed; 0 ignored", flush=True)
    return 1 if failed or not passed else 0


def take_screenshots(directory, daemon, open_window):
    pages = {page.name: page for page in [*PAGES, *PICTURED]}
    directory.mkdir(parents=True, exist_ok=True)
    for name, width, height, scheme in SCREENSHOTS:
        size = {"width": width, "height": height}
        with open_window(size=size, scheme=scheme, locale=pages[name].locale) as window:
            window.open(pages[name].path(daemon))
            pages[name].act(window)
            window.heading(pages[name].heading)
            # An element under the mouse has another colour. Therefore the mouse moves to a place
            # without an element.
            window.page.mouse.move(0, 0)
            window.page.wait_for_timeout(300)
            taken = window.page.screenshot()
        file = directory / f"{name}-{width}-{scheme}.png"
        # The pages use few colours. A palette of 128 colours shows all of them, and the file has
        # one third of its size without the palette.
        image = Image.open(io.BytesIO(taken)).convert("RGB").quantize(128, dither=Image.Dither.NONE)
        image.save(file, optimize=True)
        size = file.stat().st_size
        print(f"{file.name}: {size // 1024} KiB")
        assert size < SCREENSHOT_BYTES_MAX, f"{file.name} has {size} bytes"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("home", type=Path)
    parser.add_argument("guarded")
    parser.add_argument("guarded_home", type=Path)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("packages", type=Path)
    parser.add_argument("-k", default="")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--screenshots", type=Path)
    parser.add_argument("--public", help="what the links of the first daemon begin with, where it is not BASE")
    asked = parser.parse_args()
    daemon, guarded = Daemon(asked.base, asked.home, asked.public), Daemon(asked.guarded, asked.guarded_home)
    drawn = json.loads(asked.gallery.read_text())
    axe = axe_source()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.chromium, args=ARGUMENTS)

        def open_window(base=daemon.base, **how):
            return window(browser, base, axe, asked.packages, **how)

        if asked.screenshots:
            take_screenshots(asked.screenshots, daemon, open_window)
            return 0
        chosen = [(name, test) for name, test in tests(drawn, daemon, guarded, open_window) if asked.k in name]
        return run_all(chosen)


if __name__ == "__main__":
    sys.exit(main())
