"""The networks on whose features metrics of images are computed, one module each: `extractor(options, device)`."""
