"""Drives the page of `kerasdl demo` in a headless Chromium, as a user would.

    python benchmarks/demo_page.py IMAGE RUN [RUN ...] [--out FOLDER] [--tile none]

At the widths of a desktop and a phone: opens the page, drops an unreadable file and then the
image, moves each slider to its end, and stores a screenshot after each step. Prints the seconds of
each step and exits 1 if the page requested anything from another host, a script failed, the page is
wider than the window, or Ctrl-C did not end the program quietly. Needs kerasdl[demo], playwright
and Chromium.
"""

import argparse
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from playwright.sync_api import expect, sync_playwright

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}
PATIENCE = 300_000  # milliseconds


class Visit:
    """One visit of the page at one width."""

    def __init__(self, browser, url, name, size, out):
        self.url, self.name, self.out = url, name, out
        self.page = browser.new_page(viewport=dict(zip(("width", "height"), size, strict=True)))
        self.page.set_default_timeout(PATIENCE)
        self.problems, self.requests = [], 0
        self.page.on("request", self.check)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def check(self, request):
        self.requests += 1
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.problems.append(f"request to {request.url}")

    def step(self, number, title, act):
        start = time.perf_counter()
        act()
        seconds = time.perf_counter() - start
        self.page.screenshot(path=self.out / f"{self.name}-{number}-{title}.png", full_page=True)
        print(f"{self.name:8} {title:16} {seconds:6.1f} s")
        wide = self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        if wide:
            self.problems.append(f"{title}: wider than the window")

    def drop(self, path, answer):
        self.page.set_input_files("input[type=file]", path)
        self.page.locator(answer).first.wait_for()

    def slide(self, slider):
        sources = "[...document.querySelectorAll('.panels img')].map(image => image.src)"
        before = self.page.evaluate(sources)
        slider.press("End")
        self.page.wait_for_function(f"old => {sources}.some((src, i) => src != old[i])", arg=before)

    def run(self, image, unreadable):
        self.step(0, "empty", lambda: (self.page.goto(self.url), self.page.wait_for_selector("h2")))
        self.step(1, "unreadable", lambda: self.drop(unreadable, ".error"))
        self.step(2, "answer", lambda: self.drop(image, ".panels img, .bars"))
        expect(self.page.locator(".error")).to_have_count(0)
        for number, slider in enumerate(self.page.locator("input[type=range]").all(), 3):
            self.step(number, "slider", lambda slider=slider: self.slide(slider))
        print(f"{self.name:8} {self.requests} requests, {len(self.problems)} problems")
        return self.problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=pathlib.Path)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("demo-page"))
    parser.add_argument("--tile", default="auto")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "kerasdl", "demo", *options.runs, "--no-browser",
               "--tile", options.tile]  # fmt: skip
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program, tempfile.TemporaryDirectory() as folder:  # fmt: skip
        url = program.stdout.readline().split(" ")[0]
        print(f"{url} after {time.perf_counter() - start:.1f} s")
        unreadable = pathlib.Path(folder, "notes.png")
        unreadable.write_text("no image")
        problems = []
        with sync_playwright() as engines:
            browser = engines.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for name, size in WIDTHS.items():
                problems += Visit(browser, url, name, size, options.out).run(
                    options.image, unreadable
                )
            browser.close()
        program.send_signal(signal.SIGINT)
        rest, errors = program.communicate(timeout=60)
        if program.returncode or rest or "Traceback" in errors or "interrupt" in errors.lower():
            problems.append(f"Ctrl-C: exit code {program.returncode}, {rest}{errors}")
    print(*problems, sep="\n", end="\n" if problems else "")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
