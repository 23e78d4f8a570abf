"""report.html and report.md: harmless, self-contained, and sensible for runs that lack things."""

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from derm_bench.errors import UserError
from derm_bench.report import pictures, view
from derm_bench.report.data import ReportData
from derm_bench.report.html import write_report

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Collects tags, addresses and text, and checks that tags are closed in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.addresses, self.open, self.words = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [
            value for name, value in attrs if name in ("src", "href", "action", "data", "srcset")
        ]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report(whole_run, whole_figures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "run"
    shutil.copytree(whole_run, folder)
    write_report(folder, whole_figures)
    return folder


def test_page_is_self_contained_and_well_formed(report):
    html = (report / "report.html").read_text()
    page = Page(html)
    assert page.open == []
    assert all(a.startswith(("data:image/", "#")) for a in page.addresses)
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    assert page.tags.count("img") > 20


def test_labels_and_errors_are_text_never_markup(report):
    html = (report / "report.html").read_text()
    page = Page(html)
    assert not {"script", "b", "i"} & ({*page.tags} - {"b", "i"})
    assert "<b>bold" not in html and "<i>images" not in html and "<nan>" not in html
    assert any("<script>alert('x')</script>" in words for words in page.words)
    assert any("loss was <nan> & the weights" in words for words in page.words)
    markdown = (report / "report.md").read_text()
    assert "<script>" not in markdown and "<b>" not in markdown


def test_page_says_what_failed_and_how_many_seeds_are_left(report):
    text = " ".join(Page((report / "report.html").read_text()).words)
    assert "45 done of 48" in text and "2 of 3" in text
    assert "needs fit of acgan (class mel, seed 1), which diverged" in text
    assert "control: real-holdout" in text and "0123456789abcdef" in text
    assert "2 of 3 runs of dcgan-balance/resnet18 are done" in text, (
        "the reason of an inconclusive comparison"
    )
    assert "too few" in text.split("Subgroups of the test images")[1]


def test_a_generator_whose_samples_are_noise_is_marked(whole_run):
    table = view.health(ReportData.load(whole_run))
    assert table.header[-3:] == ["sample distance", "sample distance at 4x4", "what is wrong"]
    assert (
        "Sample distance: the mean pixel distance of two samples" in table.note
        and "nearest" not in table.note
    )
    assert [row[4:6] for row in table.rows] == [["1.2", "0.031"], ["1.2", "0.92"]] and table.flagged == {0}
    assert "nearly one image" in table.rows[0][-1] and not table.rows[1][-1]


def test_what_was_done_to_the_images_besides_decoding_is_said(report):
    for name in ("report.html", "report.md"):
        text = (report / name).read_text()
        assert "transparent pixels were put on white (12): &lt;b&gt;.png, a.png, ..." in text
        assert "<b>.png" not in text


def test_markdown_links_lead_to_files(report):
    links = re.findall(r"\]\(([^)]+)\)", (report / "report.md").read_text())
    assert len(links) > 20
    assert all((report / link.replace("%3D", "=")).is_file() for link in links)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"everything": "oom"}, "out of memory: <b>8 GB</b> asked"),
        ({"seeds": (0,)}, "One seed: there is no interval"),
        ({"strategies": {"real-only": (0.0, 0, "")}}, "real-only"),
        ({"predictions": False}, "balanced accuracy"),
        ({"classifiers": ()}, "only generators were fitted"),
    ],
    ids=["no cell done", "one seed", "no generators", "no predictions", "no classifiers"],
)
def test_lean_runs_get_a_report(make_run, options, says):
    folder = make_run(**{"fractions": (1.0,), "classifiers": ("net",), **options})
    write_report(folder)
    page = Page((folder / "report.html").read_text())
    words = " ".join(page.words)
    assert says in words
    assert (
        ("Budget of a classifier" in words) == ("cells done" in words) == (options.get("classifiers") != ())
    )
    assert (folder / "report.md").stat().st_size > 500


def test_a_supported_difference_is_marked_with_its_numbers(make_run):
    two = {"real-only": (0.0, 0, ""), "better": (0.2, 0, "")}
    folder = make_run(strategies=two, fractions=(1.0,), classifiers=("net",), seeds=range(5))
    write_report(folder)
    html = (folder / "report.html").read_text()
    assert ">HELPS<" in html and ">helps (p" in html
    assert 'id="verdicts"' in html


def test_many_sheets_are_bounded_and_counted(make_run, monkeypatch):
    folder = make_run(fractions=(1.0,), classifiers=("net",), seeds=(0,))
    index = folder / "samples" / "index.json"
    entries = json.loads(index.read_text())
    entries += [entries[0] | {"strategy": "dcgan", "class": "nv", "seed": k, "step": 9} for k in range(20)]
    index.write_text(json.dumps(entries))
    write_report(folder)
    html = (folder / "report.html").read_text()
    assert html.count("data:image/jpeg") == 26 and "more sheets" not in html
    monkeypatch.setattr(pictures, "PAGE_BYTES", sum(map(len, re.findall('data:image/jpeg[^"]*', html))) // 2)
    write_report(folder)
    html = (folder / "report.html").read_text()
    left_out = 26 - html.count("data:image/jpeg")
    assert 10 < left_out < 16 and f"{left_out} more sheets are in samples/" in html


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no manifest\.json"):
        write_report(tmp_path)


def test_provenance_is_a_table_of_single_values(make_run, whole_figures):
    """Maps in maps and lists of maps too: no Python is printed."""
    folder = make_run(seeds=(0,))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["weights"] = {"resnet18": {"members": [{"source": "a url", "sha256": "ab"}, {"source": "b"}]}}
    manifest["machine"] = {"precision": {"cpu": "bf16"}, "threads": [1, 2]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    write_report(folder, whole_figures)
    text = (folder / "report.md").read_text()
    own = text[text.index("## Provenance") : text.index("## Files")]
    assert "| weights | resnet18, members, 1, source | a url |" in own
    assert "| machine | precision, cpu | bf16 |" in own and "| machine | threads | 1, 2 |" in own
    assert "| git | dirty | yes |" in own
    assert "{" not in own
    assert "{&#39;" not in (folder / "report.html").read_text()
