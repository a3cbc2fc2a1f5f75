"""The built site works from the file system: it asks for nothing outside, no link is broken, and it fits a phone."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import modelzoo

SITE = Path(__file__).parents[2] / "build" / "docs"
PAGES = (
    "index",
    "playground",
    "guide/index",
    "guide/finetuning",
    "guide/troubleshooting",
    "reference/index",
    "reference/generated/modelzoo.viz",
    "reference/generated/modelzoo.train",
    "architectures/index",
    *(f"architectures/{name}" for name in modelzoo.list_models()),
    "auto_lessons/index",
    "auto_lessons/plot_01_perceptron",
    "auto_lessons/plot_11_cnn",
)
#: Formulae that stayed TeX or are wrong, pictures that did not load, text that is cut off, and what a window is too
#: narrow for.
STATE = """() => ({
    formulae: [...document.querySelectorAll(".math")]
        .filter(e => !e.querySelector("mjx-container") || e.querySelector("[data-mjx-error]")).length,
    pictures: [...document.images].filter(e => e.loading !== "lazy" && !e.naturalWidth).map(e => e.src),
    cut: [...document.querySelectorAll("h1, h2, h3, p, li, dd")]
        .filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1).map(e => e.textContent),
    overflow: document.documentElement.scrollWidth - window.innerWidth,
})"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="the site is not built: make docs"),
]


class Page(HTMLParser):
    """What a page defines and what it refers to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {value for key in ("id", "name") if (value := given.get(key))}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(given["href"])
        elif given.get("src"):
            self.loads.append(given["src"])


def test_every_link_and_file_is_there():
    pages = {path.resolve(): Page(path) for path in SITE.rglob("*.html") if path.name != "webpack-macros.html"}
    assert len(pages) > 100
    broken = []
    for path, page in pages.items():
        for target in page.links + page.loads:
            parts = urlsplit(target)
            if parts.scheme in ("http", "https", "mailto", "data"):
                if target in page.loads and parts.scheme != "data":
                    broken.append((path.name, target))
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            file = file / "index.html" if file.is_dir() else file
            known = pages[file].ids if file in pages else ()
            named = parts.fragment and not parts.fragment.startswith("tab=")  # else it is a state of the playground
            if not file.is_file() or (named and file in pages and unquote(parts.fragment) not in known):
                broken.append((path.name, target))
    assert broken == []


@pytest.fixture
def visit(browser):
    """Return a function that opens a page of the site; fail where it asks for something outside or complains."""
    outside, complaints = [], []

    def opened(address):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else outside.append(r.url))
        page.on("requestfailed", lambda r: complaints.append(f"{r.url}: {r.failure}"))
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{SITE.as_uri()}/{address}", wait_until="load")
        return page

    yield opened
    assert outside == []
    assert complaints == []


@pytest.mark.browser
def test_pages_are_whole(visit):
    for name in PAGES:
        page = visit(f"{name}.html")
        if page.query_selector(".math"):
            page.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
            page.evaluate("MathJax.startup.promise")
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            state = page.evaluate(STATE)
            assert state == {"formulae": 0, "pictures": [], "cut": [], "overflow": 0}, (name, width)
        page.close()


#: The pictures that are shown, thumbnails of other pages included.
SHOWN = """theme => {
    document.documentElement.dataset.theme = theme;
    const shown = [...document.querySelectorAll(".bd-content img")].filter((e) => e.getClientRects().length);
    return shown.map((e) => [e.src.includes("/dark/"), getComputedStyle(e).filter]);
}"""


@pytest.mark.browser
@pytest.mark.parametrize("name", ["index", "architectures/index", "architectures/tanh_mlp", "auto_lessons/plot_11_cnn"])
def test_each_theme_shows_figures_of_its_own(visit, name):
    page = visit(f"{name}.html")
    for theme in ("light", "dark"):
        shown = page.evaluate(SHOWN, theme)
        assert shown == [[theme == "dark", "none"]] * len(shown) != []


@pytest.mark.browser
def test_search_finds(visit):
    page = visit("search.html?q=perceptron_rule")
    page.wait_for_selector("#search-results li a")
    found = page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
    assert any("modelzoo.reference.perceptron_rule.html" in link for link in found)
    page.click("#search-results li a")
    assert page.url.startswith("file:")
