"""The page of a board and the report of a run in Chromium: used by mouse and by keyboard, on a phone, in the dark, with
2,000 rows, and checked by axe. They ask nothing of the network and leave no error in the console.

Playwright drives the Chromium of the system. All tests share one browser and one tab.
"""

import json
import shutil
from dataclasses import replace

import pytest
from tests.leaderboard.conftest import make_run
from tests.report.conftest import write_run

from derm_bench.leaderboard.add import add
from derm_bench.leaderboard.page import page as page_of_board
from derm_bench.leaderboard.problems import Verified
from derm_bench.leaderboard.ranking import board_rows
from derm_bench.leaderboard.rescore import rescore_all
from derm_bench.leaderboard.taken import Asked
from derm_bench.leaderboard.task import read_board
from derm_bench.plugins import Plugins
from derm_bench.report.html import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MISSING = "not installed; `pip install -e '.[test]'` installs it"
playwright = pytest.importorskip("playwright.sync_api", reason=f"playwright is {MISSING}")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason=f"axe is {MISSING}")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
MANY = 2000
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The pages: a board, the same with 2,000 rows, and the report of a run."""
    folder = tmp_path_factory.mktemp("pages")
    arms = {"real-only": 0.5, "flipped": 0.55, "gan": 4.0, "mixup": 0.6}
    run = make_run(folder / "run", arms, failed=("moles/flipped/tiny/1",))
    added = add(run, folder / "board", Plugins(builtins_only=True), Asked(entry="mine", by="A. Tester"))
    assert added.problems == []
    board, found = read_board(folder / "board"), Verified()
    rows = board_rows(board, rescore_all(board, found))
    (folder / "board.html").write_text(page_of_board(board, rows, found))
    (folder / "many.html").write_text(page_of_board(board, list(many(rows)), found))
    report = write_run(folder / "report", fractions=(1.0,), classifiers=("tiny",))
    write_figure(report / "figures")
    write_report(report)
    return {"board": folder / "board.html", "many": folder / "many.html", "report": report / "report.html"}


def write_figure(folder):
    """One figure of a report."""
    folder.mkdir()
    (folder / "a.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="700" height="90"><circle cx="45" cy="45" r="40"/></svg>'
    )
    words = {"name": "a", "title": "Scores", "caption": "A figure.", "section": "scores", "file": "a.svg"}
    (folder / "figures.json").write_text(json.dumps([words]))


def many(rows):
    """2,000 rows with scores of their own."""
    for k in range(MANY):
        row = rows[k % len(rows)]
        scores = {name: value - 0.0001 * k for name, value in row.scores.items()}
        yield replace(row, strategy=f"{row.strategy}-{k:04d}", scores=scores, rank=None)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def tab(browser):
    context = browser.new_context(viewport=WIDE, offline=True, reduced_motion="reduce")
    context.set_default_timeout(20_000)
    return context.new_page()


@pytest.fixture
def visit(tab, places):
    """Opens a page in the shared tab. At the end, fails for errors in the console and for requests to anywhere."""
    problems = []

    def on_console(message):
        if message.type in ("error", "warning"):
            problems.append(f"console: {message.text}")

    def on_request(request):
        if not request.url.startswith(("file://", "data:")):
            problems.append(f"request: {request.url}")

    handlers = {"console": on_console, "pageerror": lambda error: problems.append(str(error)),
                "request": on_request}  # fmt: skip
    for event, handler in handlers.items():
        tab.on(event, handler)

    def open_page(name, viewport=WIDE, scheme="light"):
        tab.set_viewport_size(viewport)
        tab.emulate_media(color_scheme=scheme)
        tab.goto(places[name].as_uri())
        return tab

    yield open_page
    for event, handler in handlers.items():
        tab.remove_listener(event, handler)
    assert problems == []


def faults(tab):
    """What axe finds that is serious or critical, with the elements."""
    found = axe.Axe().run(tab).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} ({len(one['nodes'])} of them)"
        for one in found
        if one["impact"] in SERIOUS
    ]


def column(tab, key):
    """The values of a column, without opened rows."""
    return tab.eval_on_selector_all(
        "#rows > tbody > tr[data-entry]", f"rows => rows.map(row => row.dataset.{key})"
    )


def details(tab, strategy):
    return tab.locator(f"tr[data-strategy='{strategy}'] button[data-details]").first


def test_a_board_is_sorted_by_its_columns(visit):
    tab = visit("board")
    assert column(tab, "strategy")[0] == "gan", "the best first"
    tab.get_by_role("button", name="strategy", exact=True).click()
    head = tab.locator("th[data-key='strategy']")
    assert column(tab, "strategy") == sorted(column(tab, "strategy"))
    assert head.get_attribute("aria-sort") == "ascending"
    tab.get_by_role("button", name="strategy", exact=True).click()
    assert column(tab, "strategy") == sorted(column(tab, "strategy"), reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    tab.get_by_role("button", name="Δ to baseline").click()
    assert head.get_attribute("aria-sort") is None and column(tab, "strategy")[0] == "gan"
    tab.get_by_label("Metric").select_option("log_loss")
    scores = [float(text) for text in tab.locator("td.score").all_text_contents() if text != "–"]
    assert scores == sorted(scores), "of a loss, the smallest is the best"


def test_a_board_is_filtered(visit):
    tab = visit("board")
    shown = tab.locator("#shown")
    assert shown.text_content() == "4 of 4 rows"
    tab.get_by_label("Complete rows only").check()
    assert shown.text_content() == "3 of 4 rows" and "flipped" not in column(tab, "strategy")
    tab.get_by_label("Search").fill(" MIXup ")
    assert shown.text_content() == "1 of 4 rows" and column(tab, "strategy") == ["mixup"]
    tab.get_by_label("Search").fill("")
    tab.get_by_label("Generator").select_option("dcgan")
    assert column(tab, "strategy") == ["gan"]
    tab.get_by_label("Strategy").select_option("mixup")
    assert shown.text_content() == "0 of 4 rows"


def test_a_row_opens_by_keyboard_alone_and_shows_what_is_behind_it(visit):
    tab = visit("board")
    tab.locator("body").press("Tab")
    for _ in range(60):
        focused = tab.evaluate("document.activeElement.textContent")
        if focused == "Details of mine/gan/tiny":
            break
        tab.keyboard.press("Tab")
    else:
        pytest.fail("the details of a row cannot be reached with Tab")
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    opened = tab.locator("tr.opened")
    for heading in ("Against the baseline", "Classes", "Confusion matrix", "Provenance", "Samples"):
        assert opened.get_by_role("heading", name=heading).is_visible(), heading
    assert opened.get_by_role("img", name="Difference").is_visible()
    assert opened.locator("img").first.evaluate("one => one.decode().then(() => one.naturalWidth)") > 100
    assert "derm-bench run matrix.yaml" in opened.text_content()
    assert details(tab, "gan").get_attribute("aria-expanded") == "true"
    tab.keyboard.press("Space")
    assert opened.count() == 0 and details(tab, "gan").get_attribute("aria-expanded") == "false"


def test_a_board_fits_on_a_phone(visit):
    tab = visit("board", PHONE)
    details(tab, "gan").click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    inner = tab.locator(".details").bounding_box()
    assert inner["x"] >= 0 and inner["x"] + inner["width"] <= PHONE["width"]
    assert not tab.locator("th[data-key='entry']").is_visible() and tab.locator("td.score").first.is_visible()


def test_two_thousand_rows_are_sorted_filtered_and_opened(visit):
    tab = visit("many")
    # By their places: to look for a role or a label among the nodes of 2,000 rows takes playwright ten seconds.
    shown, search = tab.locator("#shown"), tab.locator("input[name='text']")
    everything = tab.locator("#more button", has_text="Show all 2000 rows")
    assert shown.text_content() == "2000 of 2000 rows; the first 250 are shown"
    tab.get_by_role("button", name="strategy", exact=True).click()
    first = column(tab, "strategy")
    assert first == sorted(first) and len(first) == 250
    everything.click()
    names = column(tab, "strategy")
    assert names == sorted(names) and len(names) == 2000 and names[:250] == first
    assert shown.text_content() == "2000 of 2000 rows" and not everything.is_visible()
    name = next(name for name in names if name.startswith("mixup-1"))
    search.fill(name)
    assert column(tab, "strategy") == [name]
    details(tab, name).click()
    assert tab.get_by_role("heading", name="Confusion matrix").is_visible()
    search.fill("")
    assert shown.text_content() == "2000 of 2000 rows" and tab.locator("tr.opened").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault_of_a_board(visit, scheme):
    tab = visit("board", scheme=scheme)
    for name in ("gan", "flipped"):
        details(tab, name).click()
    tab.get_by_role("button", name="strategy", exact=True).click()
    assert faults(tab) == []
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is (scheme == "light")


@pytest.mark.parametrize(
    ("viewport", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["light", "dark, phone"]
)
def test_axe_finds_no_serious_fault_of_a_report(visit, viewport, scheme):
    tab = visit("report", viewport, scheme)
    for closed in tab.locator("details").all():
        closed.evaluate("one => { one.open = true; }")
    assert faults(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    sizes = tab.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
    assert len(sizes) > 5 and min(sizes) > 0, "every picture is one that the browser can draw"
