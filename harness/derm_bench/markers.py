"""The pluggy markers, apart from the hook definitions so that a plugin's import stays light."""

import pluggy

PROJECT = "derm_bench"
API_VERSION = 1

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
