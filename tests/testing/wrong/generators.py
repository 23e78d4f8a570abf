"""A right generator of a few weights, and one wrong in each way."""

import os
import random
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from derm_bench.images import Samples
from derm_bench.training.checkpoints import TrainingState
from derm_bench.training.engine import Engine, minimise
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.seeding import stream


class Right(ModulePlugin):
    """One colour a class, learnt by Adam, plus noise."""

    def __init__(self, options, task):
        self.options, self.task = options, task
        self.net = nn.Linear(len(task.classes), 3).to(task.device)

    def fit(self, train, run):
        optimizer = torch.optim.Adam(self.net.parameters(), lr=0.1)
        live = self.live(optimizer)
        live.load(run.resume())
        time.sleep(self.options.nap)
        for batch in run.batches(train, self.options.batch_size):
            loss = (self.net(batch.targets) - batch.images.mean((2, 3))).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            self.after(batch, run)
            run.log(batch.step, loss=loss.detach())
            run.checkpoint(batch.step, live.state)

    def live(self, optimizer):
        return TrainingState(net=self.net, optimizer=optimizer)

    def after(self, batch, run):
        """After an update."""

    @torch.inference_mode()
    def sample(self, request, train=None):
        size = self.task.size
        onehot = torch.zeros(1, len(self.task.classes), device=self.task.device)
        onehot[0, self.label(request)] = 1
        noise = torch.randn(request.n, 3, size, size, generator=self.noise(request)).to(self.task.device)
        return Samples(self.pixels(self.net(onehot).view(1, 3, 1, 1) + 0.3 * noise))

    def label(self, request):
        return request.label

    def noise(self, request):
        return stream(request.seed, "sample")

    def pixels(self, images):
        return images.mul(127.5).add(127.5).clamp(0, 255).to(torch.uint8)

    def parts(self):
        return {"net": self.net}


class Shape(Right):
    def pixels(self, images):
        return super().pixels(images)[..., ::2, ::2]


class Dtype(Right):
    def pixels(self, images):
        return super().pixels(images).float()


class Range(Right):
    def pixels(self, images):
        return (images > 0).to(torch.uint8)


class Unseeded(Right):
    def after(self, batch, run):
        with torch.no_grad():
            self.net.bias += 0.01 * random.SystemRandom().random()


class SameFit(Right):
    def fit(self, train, run):
        with torch.no_grad():
            for parameter in self.net.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        for _ in run.batches(train, self.options.batch_size):
            pass


class SameSamples(Right):
    def noise(self, request):
        return stream(0, "sample")


class Unrepeatable(Right):
    def noise(self, request):
        return torch.Generator().manual_seed(random.SystemRandom().randrange(2**31))


class Unconditional(Right):
    def label(self, request):
        return 0


class Counter:
    """A number that belongs to the training state."""

    def __init__(self):
        self.value = 0.0

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


class State(Right):
    """Forgets in state() what its samples depend on."""

    def __init__(self, options, task):
        super().__init__(options, task)
        self.shift = Counter()

    def live(self, optimizer):
        return TrainingState(net=self.net, optimizer=optimizer, shift=self.shift)

    def after(self, batch, run):
        self.shift.value += 0.1

    def pixels(self, images):
        return super().pixels(images + self.shift.value)


class Resume(Right):
    """Forgets the moments of Adam."""

    def live(self, optimizer):
        return TrainingState(net=self.net)


class Short(Right):
    def fit(self, train, run):
        optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1)
        for batch in run.batches(train, self.options.batch_size):
            self.net(batch.targets).square().mean().backward()
            optimizer.step()
            if batch.step == 2:
                break


class Reaches(Right):
    def after(self, batch, run):
        assert run.val is None


class SeedsGlobal(Right):
    def noise(self, request):
        torch.manual_seed(request.seed)
        return torch.Generator().manual_seed(request.seed)


class SetsThreads(Right):
    def after(self, batch, run):
        torch.set_num_threads(torch.get_num_threads() + 1)


class SetsEnvironment(Right):
    def after(self, batch, run):
        os.environ["MY_GAN_STEP"] = str(batch.step)


class Writes(Right):
    def after(self, batch, run):
        (Path(tempfile.gettempdir()) / "my-gan.log").write_text("an update")


class Reads(Right):
    """Reads other people's images."""

    def after(self, batch, run):
        path = Path(self.folder) / "test.png"
        path.read_bytes()

    @property
    def folder(self):
        return os.environ["WRONG_READS"]


class PicksDevice(Right):
    def __init__(self, options, task):
        super().__init__(options, task)
        self.on_gpu = torch.cuda.is_available()


class Undocumented(Right):
    """Its options say nothing."""


class NoPresets(Right):
    """Its spec has none."""


class SlowTiny(Right):
    """Its preset tiny sleeps."""


class SlowSmoke(Right):
    """Its preset smoke sleeps."""


class Raises(Right):
    def after(self, batch, run):
        raise RuntimeError("no mood")


class HalfLogged(Right):
    def after(self, batch, run):
        run.log(batch.step, real=0.5, d_real=0.5, d_fake=0.5)


class OwnLoader(Right):
    """Trains on batches of its own, so that budget and augmentation have no effect."""

    def fit(self, train, run):
        optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01)
        for images in train.images.split(8):
            optimizer.zero_grad()
            (self.net.weight.mean() - images.float().mean() / 255).square().backward()
            optimizer.step()


class GoesOn(Right):
    """Trains on after the end of its budget."""

    def fit(self, train, run):
        super().fit(train, run)
        OwnLoader.fit(self, train, run)


class Compiled(Right):
    """Compiles its network while it is fitted, by the backend that takes least time."""

    backend = "eager"

    def fit(self, train, run):
        self.net = torch.compile(self.net, backend=self.backend)
        super().fit(train, run)


class CompiledReads(Compiled):
    """Reads other people's images in code that the compiler calls."""

    def __init__(self, options, task):
        super().__init__(options, task)
        self.net.register_forward_hook(reads)


def reads(net, given, result):
    (Path(os.environ["WRONG_READS"]) / "test.png").read_bytes()


class Pretrained(Right):
    """Has weights from elsewhere, which it loads in fit()."""

    def fit(self, train, run):
        with torch.no_grad():
            for parameter in self.net.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).view(parameter.shape))


class OfTwoPhases(Right):
    """Learns the mean colour of all images with its bias for half of the budget, then one colour a class."""

    def fit(self, train, run):
        engine = Engine(run, net=self.net)
        for_bias, for_all = torch.optim.SGD([self.net.bias], lr=0.3), engine.adam(self.net, 0.1)

        def first(batch):
            loss = (self.net.bias - batch.images.mean((0, 2, 3))).square().mean()
            minimise(loss, for_bias)
            return {"loss": loss}

        def second(batch):
            loss = (self.net(batch.targets) - batch.images.mean((2, 3))).square().mean()
            minimise(loss, for_all)
            return {"loss": loss}

        engine.fit(first, train, until=run.budget // 2)
        engine.fit(second, train)


class Grades(Right):
    def realness(self, images, label):
        return images.mean((1, 2, 3))


class GradesInBatches(Right):
    def realness(self, images, label):
        return images.mean((1, 2, 3)) - images.mean()


class GradesUnsaid(Grades):
    pass
