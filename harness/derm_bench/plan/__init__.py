"""The plan: cells -> stages with content-addressed keys. Pure: a function of matrix, plugins and data digests."""
