"""Sphinx configuration. `sphinx-build -W docs build/docs` builds the site without a network."""

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
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
smartquotes = False  # a -- is the start of a flag

html_theme = "furo"
html_title = "derm-bench"
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]


def setup(app):
    """Generates the reference before each build."""
    app.connect("builder-inited", lambda app: generate.write(Path(app.srcdir) / "reference"))
