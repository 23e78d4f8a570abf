"""A fit that dies after a checkpoint."""

from derm_bench.training.stage_run import StageRun


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the run survives but its files."""


class Interrupted(StageRun):
    """Dies after the checkpoint of the update `die_at`, as if killed in the middle of the next; never if it is
    None."""

    def __init__(self, *, die_at, **options):
        super().__init__(**options)
        self.die_at = die_at

    def checkpoint(self, step, state):
        super().checkpoint(step, state)
        if step == self.die_at:
            raise Killed
