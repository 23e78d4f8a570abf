"""Two threads on cores that others share are slower than one."""

import torch

torch.set_num_threads(1)
