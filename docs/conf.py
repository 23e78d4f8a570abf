"""Sphinx configuration. `sphinx-build -W docs build/docs` builds the site without a network.

The pages are plain Markdown, which GitHub shows as it is. Here they get what only the site needs: the generated
reference, README, CONTRIBUTING and CHANGELOG as pages, links to these, and a table of contents from the lists of
`index.md`.
"""

import re
import sys
from pathlib import Path

from derm_bench import __version__

sys.path.insert(0, str(Path(__file__).parent))
import generate

project = "derm-bench"
author = "the derm-bench authors"
copyright = author
release = version = __version__

extensions = ["myst_parser"]
myst_heading_anchors = 3
smartquotes = False  # a -- is the start of a flag

html_theme = "furo"
html_title = "derm-bench"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

ROOT = Path(__file__).parent.parent
BESIDE_DOCS = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files in the root of the repository, and the pages that are made from them."""
GENERATED = {
    "Extend it": ["reference/hooks", "reference/specs"],
    "Reference": ["reference/plugins", "reference/cli"],
}
"""Pages that are in the site alone, by the section of `index.md` that they belong to."""


def write_pages(folder: Path) -> None:
    """Writes the generated reference, and the pages that are made from files in the root of the repository."""
    generate.write(folder / "reference")
    for name, page in BESIDE_DOCS.items():
        text = re.sub(r"\]\(docs/", "](", (ROOT / name).read_text())
        generate.write_if_changed(folder / page, site_links(text))


def site_links(text: str) -> str:
    """The text with links to files outside of `docs/` turned into links to their pages, or into plain text if they have
    none."""

    def linked(link: re.Match[str]) -> str:
        name, _, anchor = link[2].removeprefix("../").partition("#")
        page = BESIDE_DOCS.get(name)
        if page is None:
            return link[1] if link[2].startswith("../") else link[0]
        return f"[{link[1]}]({page}{'#' * bool(anchor)}{anchor})"

    return re.sub(r"\[([^\]\n]+)\]\(([^)\s]+)\)", linked, text)


def contents(index: str) -> str:
    """The tables of contents, one per section of the index, with the pages that the section lists."""
    tables = []
    for section in index.split("\n## ")[1:]:
        caption, _, rest = section.partition("\n")
        pages = [
            page.removesuffix(".md") for page in re.findall(r"^- \[[^\]]+\]\(([^)#]+)\)", rest, re.MULTILINE)
        ]
        names = "\n".join([*pages, *GENERATED.get(caption, [])])
        tables.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n:maxdepth: 1\n\n{names}\n```\n")
    return "\n".join(tables)


def prepare(app, docname: str, source: list[str]) -> None:
    """Turns a page as GitHub shows it into a page of the site."""
    text = site_links(source[0])
    source[0] = f"{text}\n{contents(text)}" if docname == "index" else text


def setup(app):
    """Generates pages before each build, and prepares each page as it is read."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)))
    app.connect("source-read", prepare)
