"""What each stage does: one short function each, called in a worker as `stage(context) -> result`."""
