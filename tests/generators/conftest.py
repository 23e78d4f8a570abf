"""One thread: these nets are so small that waiting for a second one costs more than it gives."""

import torch

torch.set_num_threads(1)
