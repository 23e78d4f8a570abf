"""Measures, once per model of device, which precision trains faster, for `precision: auto`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from derm_bench.errors import UserError
from derm_bench.executors.local import MALLOC, WAIT
from derm_bench.machine import PRECISIONS, Measured, device_model, profile_file, save_profile
from derm_bench.terminal import say

LONGEST = 300.0
"""Seconds after which a measurement is given up. It takes about ten."""


def measure_precision(kind: str, threads: int) -> Measured:
    """Measures the precisions of a device type with so many threads, in a process of its own, because this one does not
    import torch. Raises UserError if that fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "derm_bench.training.probe", kind, str(threads)],
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST,
            env=WAIT | os.environ | MALLOC,  # as workers train
        )
        content = json.loads(done.stdout)
        rates = {name: float(content["images_per_second"][name]) for name in content["images_per_second"]}
        return Measured(PRECISIONS[PRECISIONS.index(content["precision"])], rates)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        raise UserError(f"precision could not be measured: {last}") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"precision could not be measured within {LONGEST:.0f} s") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"precision could not be measured: {error}") from None


def measure_once(kind: str, threads: int) -> None:
    """Measures the precisions of a device type and saves the result, which later commands use. Says so on standard
    error. If it cannot be measured or saved, it says that fp32 is used: a result that is not saved might differ in the
    next run, which would then train everything again."""
    model = device_model(kind)
    say(f"precision: auto has not been measured on this {kind} ({model}); measuring for about 10 s", err=True)
    try:
        measured = measure_precision(kind, threads)
        save_profile(model, measured)
    except (UserError, OSError) as error:
        why = f"{profile_file()} cannot be written: {error}" if isinstance(error, OSError) else str(error)
        say(f"warning: {why}; fp32 is used, as with `numerics: {{precision: fp32}}`", err=True)
        return
    rates = ", ".join(f"{name} {rate:.0f} images/s" for name, rate in measured.images_per_second.items())
    said = f"precision: {measured.precision} from now on ({rates}), saved to {profile_file()}"
    say(f"{said}; `numerics: {{precision: fp32}}` skips this", err=True)
