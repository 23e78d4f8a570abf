"""Files that are shipped with derm-bench and that are not code: published numbers of papers, and the papers' matrices.

In a checkout they are where people look for them, in `leaderboards/` and `benchmarks/`; a wheel has copies in this
package.
"""

from __future__ import annotations

from pathlib import Path

from derm_bench.errors import UserError

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parent.parent


def shipped(folder: str) -> Path:
    """Return a shipped folder, such as `leaderboards/published`. Raises UserError if this installation lacks it."""
    for place in (_CHECKOUT, _PACKAGE / "shipped"):
        # A folder of that name beside an installed package belongs to somebody else.
        ours = place != _CHECKOUT or (_CHECKOUT / "harness" / "derm_bench") == _PACKAGE
        if ours and (place / folder).is_dir():
            return place / folder
    raise UserError(
        f"this installation of derm-bench has no {folder}", hint="install it again, or use it from a checkout"
    )
