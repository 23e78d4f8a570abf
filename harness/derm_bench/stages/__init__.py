"""Stage functions, one per kind of stage. A worker calls them as `stage(context) -> result`."""
