"""A whole study in which each cell runs from scratch in a separate process, like a shell loop over a script."""

import itertools
import json
import subprocess
import sys

from side import arguments, report


def main():
    opt = arguments(__doc__, folder=None, weights=None, plan="{}", gan_updates=10)
    plan = json.loads(opt.plan)
    cells = []
    for lr, model, seed in itertools.product(plan["lrs"], plan["models"], plan["seeds"]):
        flags = {
            "folder": opt.folder,
            "weights": opt.weights,
            "device": opt.device,
            "threads": opt.threads,
            "batch": opt.batch,
            "updates": opt.updates,
            "gan-updates": opt.gan_updates,
            "lr": lr,
            "model": model,
            "seed": seed,
        }
        words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "baselines.row9_cell", *words]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        cells.append(json.loads(done.stdout.splitlines()[-1]))
    report(cells=cells)


if __name__ == "__main__":
    main()
