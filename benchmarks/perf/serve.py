"""Runs a side of compare.py once for every line of stdin, a JSON list of its flags: `python serve.py ours.row2`.

It prints "ready" once everything is imported, and again after the output of each run. It ends at the end of its input.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys

READY = "ready"


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    touch_gpu()
    print(READY, flush=True)
    for line in sys.stdin:
        sys.argv[1:] = json.loads(line)
        module.main()
        gc.collect()
        if torch := sys.modules.get("torch"):
            torch.cuda.empty_cache()
        print(READY, flush=True)


def touch_gpu() -> None:
    """Create the context of the first GPU and load the libraries of convolutions, which takes seconds in a fresh
    process and would be measured otherwise."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.ones(2, 8, 16, 16, device="cuda:0", dtype=dtype, requires_grad=True)
        torch.nn.functional.conv2d(x, torch.ones(8, 8, 3, 3, device="cuda:0", dtype=dtype)).sum().backward()
    torch.cuda.synchronize()


if __name__ == "__main__":
    main()
