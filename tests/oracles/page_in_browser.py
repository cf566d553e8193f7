"""Reports in a real browser: nothing is fetched, nothing fails, nothing overlaps or sticks out.

Run by hand where Debian's Chromium is installed; records what it found. `--pictures FOLDER` keeps
a picture of every page at every width, light and dark.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

import browser  # noqa: E402
from tests.runs import PAGES, page_of  # noqa: E402

RECORD = HERE / "record" / "page_in_browser.json"
WIDTHS, SCHEMES = (1280, 800, 400), ("light", "dark")
BAD = ("Runtime.exceptionThrown", "Page.javascriptDialogOpening", "Log.entryAdded")

# What is seen of the open page. Texts of one chart overlap where both share more than a pixel.
LOOK = """(() => {
  const root = document.documentElement, wide = root.clientWidth;
  const paper = getComputedStyle(document.body).backgroundColor;
  const light = (colour) => {
    const part = colour.match(/[\\d.]+/g).slice(0, 3).map((each) => each / 255)
      .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const contrast = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const overlaps = [], outside = [], faint = [];
  for (const svg of document.querySelectorAll("svg")) {
    const texts = [...svg.querySelectorAll("text")].filter((each) => each.textContent.trim());
    const boxes = texts.map((each) => [each.textContent, each.getBoundingClientRect()]);
    boxes.forEach(([words, box], i) => {
      if (box.left < -0.5 || box.right > wide + 0.5) outside.push(words);
      for (const [other, its] of boxes.slice(i + 1)) {
        const across = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const down = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        if (across > 1 && down > 4) overlaps.push(`${words} | ${other}`);
      }
    });
    for (const each of texts) {
      if (contrast(getComputedStyle(each).fill, paper) < 4.5) faint.push(each.textContent);
    }
  }
  return {
    sticks_out: Math.max(root.scrollWidth - wide, 0),
    charts: document.querySelectorAll("svg").length,
    blank_charts: [...document.querySelectorAll("svg")].filter((each) =>
      each.getBoundingClientRect().height < 20 || !each.querySelector("title")).length,
    tables: document.querySelectorAll("table").length,
    words: document.body.innerText.split(/\\s+/).length,
    overlaps, outside, faint,
  };
})()"""
# A page with one of every fault, which must all be seen before anything else is believed.
CONTROL = """<!doctype html><meta charset="utf-8"><body style="background: white">
<img src="nothing.png"><script>console.error("no"); undefined.x</script>
<div style="width: 3000px">wide</div><svg width="2000" height="60"><text x="9" y="40">one</text>
<text x="12" y="42">two</text><text x="1900" y="9" fill="#bbb">faint, outside</text></svg>"""
SEEN = ("overlaps", "outside", "faint", "fetched", "failed", "sticks_out", "blank_charts")
LINE = 'document.querySelector("svg[data-axes] path.line")'
PLACE = f"""(() => {{
  if (!{LINE}) return null;
  {LINE}.closest("svg").scrollIntoView({{block: "center"}});
  const box = {LINE}.closest("svg").getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
}})()"""
TOLD = 'document.querySelector("#told").hidden ? "" : document.querySelector("#told").innerText'
UNTICK = 'document.querySelector("#show-0") && document.querySelector("#show-0").click()'
LEFT = '[...document.querySelectorAll(".run-0")].filter((e) => e.getClientRects().length).length'


def looked_at(tab: browser.Browser, address: str, wide: int, scheme: str) -> dict[str, Any]:
    """One page at one width: what was fetched, what failed, and what is seen."""
    tab.ask(
        "Emulation.setDeviceMetricsOverride",
        width=wide,
        height=900,
        deviceScaleFactor=1,
        mobile=wide < 500,
    )
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    tab.ask("Emulation.setEmulatedMedia", features=features)
    tab.open(address)
    seen: dict[str, Any] = tab.evaluate(LOOK)
    names = [each["method"] for each in tab.events if "method" in each]
    asked = [each for each in tab.events if each.get("method") == "Network.requestWillBeSent"]
    seen["fetched"] = [each["params"]["request"]["url"] for each in asked][1:]
    seen["failed"] = [name for name in names if name in BAD or name == "Runtime.consoleAPICalled"]
    return seen


def used(tab: browser.Browser) -> dict[str, Any]:
    """What the pointer is told over a line, and how much is left of a run that is unticked."""
    place = tab.evaluate(PLACE)
    if place is None:
        return {}
    tab.ask("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    told = tab.evaluate(TOLD)
    has_key = tab.evaluate('document.querySelector("#show-0") !== null')
    if not has_key:
        return {"told": told}
    tab.evaluate(UNTICK)
    return {"told": told, "left_of_unticked": tab.evaluate(LEFT)}


def picture(tab: browser.Browser, path: Path) -> None:
    """The whole page as it is now."""
    shot = tab.ask("Page.captureScreenshot", captureBeyondViewport=True, format="png")
    path.write_bytes(b64decode(shot["data"]))


def faults(seen: dict[str, Any]) -> list[str]:
    """What should not be."""
    lists = ("overlaps", "outside", "faint", "fetched", "failed")
    found = [f"{name}: {', '.join(seen[name][:5])}" for name in lists if seen[name]]
    found += [f"{name}: {seen[name]}" for name in ("sticks_out", "blank_charts") if seen[name]]
    if "told" in seen and not seen["told"]:
        found.append("the pointer is told nothing")
    if seen.get("left_of_unticked"):
        found.append("an unticked run is still there")
    return found


def check_the_check(tab: browser.Browser, path: Path) -> None:
    """Every fault of a bad page is seen."""
    path.write_text(CONTROL)
    found = {
        fault.partition(":")[0] for fault in faults(looked_at(tab, path.as_uri(), 400, "light"))
    }
    if missed := set(SEEN) - found:
        raise SystemExit(f"the check does not see {', '.join(sorted(missed))}")


def check_pages(pages: dict[str, Callable[[], str]], record: Path, words: str) -> None:
    """Every page at every width, light and dark, recorded; ends the program. words: about it."""
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("--pictures", type=Path)
    pictures = parser.parse_args().pictures
    program = browser.found()
    if program is None:
        print("skipped: there is no Chromium here; apt-get install chromium", file=sys.stderr)
        return
    release = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    tab, seen = browser.Browser(program), {}
    with tempfile.TemporaryDirectory() as folder:
        check_the_check(tab, Path(folder) / "control.html")
        for name, made in pages.items():
            path = Path(folder) / f"{name.replace(' ', '-')}.html"
            path.write_text(made(), encoding="utf-8")
            seen[name] = {"bytes": path.stat().st_size, "views": views_of(tab, path, pictures)}
    tab.close()
    known = {"release": " ".join(release.split()[:2]), "pages": seen}
    record.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    wrong = [
        f"{name} {view}: {fault}"
        for name, page in seen.items()
        for view, each in page["views"].items()
        for fault in each["faults"]
    ]
    print("\n".join([*wrong, f"{len(seen)} pages, {len(wrong)} faults"]), file=sys.stderr)
    sys.exit(1 if wrong else 0)


def views_of(tab: browser.Browser, path: Path, pictures: Path | None) -> dict[str, Any]:
    """What is seen of a page at every width, light and dark."""
    views = {}
    for wide in WIDTHS:
        for scheme in SCHEMES:
            seen = looked_at(tab, path.as_uri(), wide, scheme)
            if pictures:
                picture(tab, pictures / f"{path.stem}-{wide}-{scheme}.png")
            seen |= used(tab)
            views[f"{wide} {scheme}"] = {**seen, "faults": faults(seen)}
    return views


if __name__ == "__main__":
    check_pages({name: partial(page_of, name) for name in PAGES}, RECORD, __doc__ or "")
