"""Lesions cut out and pasted onto other skin: object-based augmentation (XtremeAugment; Nesteruk et al. 2022) and ZSAL,
as far as paper 000 describes it: a lesion is cut out by its contour and put on skin without a lesion.

    lesion      a real image of the class, by its mask (else Otsu's), rotated, scaled, mirrored, its outline deformed
    background  a real image of any class with similar skin and a small lesion, inpainted with the skin around it
    blend       an alpha feathered across the contour, or Poisson (Perez et al. 2003)

Nothing is trained. The label is the lesion's. Choices: data sets of lesions have no images without a lesion, so that
backgrounds are inpainted (Telea 2004, over the mask and a margin of a twentieth of the side; the grain of the skin is
added again, as noise of its standard deviation); a pasted lesion is near the position of the background's own, which
hides most of the inpainting; a smooth random field displaces lesion and contour together, so that the border keeps its
appearance; where a lesion is cut off by the frame it is continued as its mirror image. Feathering, the default, keeps
the lesion's colours, which are diagnostic; Poisson keeps its gradients and shifts its colours by the difference of both
skins: on another skin a blue lesion turns olive. So the background is drawn from the tenth of images whose skin has the
nearest mean colour. Source ids name the image of the lesion, the attribute `background` that of the skin.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import nn

from derm_bench.images import Samples
from derm_bench.training.gan_plugin import CHUNK
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.seeding import child_seed
from derm_bench_plugins.generators.draw_order import DrawOrder
from derm_bench_plugins.generators.masks import component_at, lesion_masks, skin_tones

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import SampleRequest, Task
    from derm_bench_plugins.generators.specs.lesion_paste import LesionPasteOptions

MARGIN = 0.05  # around the inpainted region, a share of the side: masks are drawn tightly
FEATHER = 0.02  # standard deviation of the alpha's edge, a share of the side
NEAR = 0.1  # share of all backgrounds to choose from, those with the most similar skin
RIM = 0.03  # width of the lesion's own skin that is blended with it, a share of the side


class LesionPaste(ModulePlugin):
    """Draws lesions of the class asked for, and backgrounds of all classes, each in an order that the fit fixes."""

    def __init__(self, options: LesionPasteOptions, task: Task) -> None:
        self.options = options
        self.order = DrawOrder()
        self._known: tuple[ImageSet, torch.Tensor, torch.Tensor] | None = None

    def fit(self, train: ImageSet, run: Run) -> None:
        """Fixes the order in which images are drawn."""
        self.order.fix(run.seed)

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        if train is None:
            raise ValueError("lesion-paste needs training images to cut lesions from, and got none")
        rows = self.order.of_class(train, request)
        draws = np.random.default_rng(child_seed(request.seed, "paste"))
        lesions, skins = train.subset(rows), train.subset(self.backgrounds(train, rows, draws))
        images = [self.paste(*pair, draws) for pair in zip(*pictures(lesions), *pictures(skins), strict=True)]
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
        return Samples(pixels, list(lesions.ids), {"background": list(skins.ids)})

    def backgrounds(self, train: ImageSet, rows: torch.Tensor, draws: np.random.Generator) -> torch.Tensor:
        """A background for each lesion, as rows of `train`: another image, drawn from those with the most similar
        skin."""
        clear, tones = self.clear(train)
        distance = torch.cdist(tones[rows], tones[clear])
        distance[rows[:, None] == clear] = torch.inf  # never its own skin, unless there is no other
        near = distance.argsort(dim=1)[:, : max(1, math.ceil(NEAR * (len(clear) - 1)))]
        chosen = torch.from_numpy(draws.integers(near.shape[1], size=(len(rows), 1)))
        return clear[near.gather(1, chosen)[:, 0]]

    def clear(self, train: ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of images whose own lesion covers at most `largest_background` of them (the tenth with the smallest
        lesions where there is none), and the skin tone [N,3] of every image. Computed once per training set."""
        if self._known is None or self._known[0] is not train:
            taken, tones = lesions_and_skin(train)
            rows = torch.nonzero(taken <= self.options.largest_background).flatten()
            if not len(rows):
                rows = taken.argsort()[: math.ceil(len(train) / 10)].sort().values
            self._known = train, rows, tones
        return self._known[1:]

    def paste(
        self,
        lesion: np.ndarray,
        contour: np.ndarray,
        skin: np.ndarray,
        covered: np.ndarray,
        draws: np.random.Generator,
    ) -> np.ndarray:
        """One image uint8 [S,S,3]: the lesion within `contour`, at the position of the mask `covered`."""
        lesion, contour = self.reshaped(lesion, contour, middle(covered), draws)
        background = inpainted(skin, covered, draws)
        blend = poisson if self.options.blend == "poisson" else feathered
        return blend(lesion, contour, background)

    def reshaped(
        self, image: np.ndarray, mask: np.ndarray, target: np.ndarray, draws: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask rotated, scaled, perhaps mirrored and deformed about the mask's middle, which is moved to
        `target` (y, x), shifted by up to `move`; with one resampling."""
        side, options = len(image), self.options
        angle = np.deg2rad(draws.uniform(-options.rotate, options.rotate))
        size = draws.uniform(1 - options.scale, 1 + options.scale)
        mirror = draws.choice((-1.0, 1.0))
        to = np.clip(target + draws.uniform(-options.move, options.move, 2) * side, 0, side - 1)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin * mirror], [sin, cos * mirror]]) / size
        grid = np.indices((side, side)) + displacement(side, options.jitter * side, draws)
        y, x = np.einsum("ij,jhw->ihw", turn, grid - to[:, None, None]) + middle(mask)[:, None, None]
        maps = x.astype(np.float32), y.astype(np.float32)
        moved = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        outline = cv2.remap(mask, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        # The image is mirrored beyond the frame: only the region that is connected with the lesion belongs to it.
        solid = np.where(outline > 127, 255, 0).astype(np.uint8)
        return moved, component_at(solid, to) if solid.any() else solid

    def parts(self) -> dict[str, nn.Module]:
        return {"order": self.order}


def lesions_and_skin(train: ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
    """The share [N] of each image that its lesion covers, and the skin tone [N,3], both float32. In chunks, because the
    whole set as floats would take four times its memory."""
    shares, tones = [], []
    for rows in torch.arange(len(train)).split(CHUNK):
        some = train.subset(rows)
        lesion = (lesion_masks(some) > 0).float()
        shares.append(lesion.mean(dim=(1, 2, 3)))
        tones.append(skin_tones(some.images.contiguous(), lesion))
    return torch.cat(shares), torch.cat(tones)


def pictures(images: ImageSet) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images uint8 [S,S,3] and their masks uint8 [S,S]."""
    pixels = images.images.permute(0, 2, 3, 1).contiguous().numpy()
    return list(pixels), list(lesion_masks(images)[:, 0].numpy())


def middle(mask: np.ndarray) -> np.ndarray:
    """Mean position (y, x) of a mask that is not empty."""
    place: np.ndarray = np.argwhere(mask > 0).mean(axis=0)
    return place


def displacement(side: int, deviation: float, draws: np.random.Generator) -> np.ndarray:
    """A smooth field of displacements, float64 [2,side,side], with standard deviation `deviation` in pixels: normal
    noise, smoothed over an eighth of the side."""
    noise = draws.standard_normal((side, side, 2))
    smooth = cv2.GaussianBlur(noise, (0, 0), side / 8, borderType=cv2.BORDER_REFLECT)
    field: np.ndarray = deviation * np.moveaxis(smooth / smooth.std(), 2, 0)
    return field


def inpainted(image: np.ndarray, mask: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """The image with its mask inpainted from the surrounding skin."""
    reach = max(1, round(MARGIN * len(image)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    hole = cv2.dilate(mask, kernel)
    if (hole > 0).all():
        return image
    painted = cv2.inpaint(image, hole, 3, cv2.INPAINT_TELEA)
    grain = (image.astype(np.float64) - cv2.GaussianBlur(image, (0, 0), 1))[hole == 0].std(axis=0)
    noisy = painted + grain * draws.standard_normal(image.shape)
    return np.where(hole[:, :, None] > 0, noisy.round().clip(0, 255), image).astype(np.uint8)


def feathered(lesion: np.ndarray, mask: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The lesion's pixels inside the mask and the background's outside, mixed across the contour."""
    alpha = cv2.GaussianBlur(mask.astype(np.float64) / 255, (0, 0), max(0.5, FEATHER * len(mask)))[:, :, None]
    mixed: np.ndarray = (alpha * lesion + (1 - alpha) * background).round().astype(np.uint8)
    return mixed


def poisson(lesion: np.ndarray, mask: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The background with the gradients of the lesion and of a rim of skin around it; unchanged outside of these.

    f minimises the distance of its gradients from the lesion's and equals the background on the rim's edge: for each
    pixel p inside, over its neighbours q in the frame, sum (f_p - f_q) = sum (g_p - g_q) (Perez et al. 2003, equation
    7). The frame is no boundary condition, so that it may cut a lesion off. (OpenCV's seamlessClone erodes the mask by
    three pixels, which is much of a small lesion, and fixes f at the frame.)
    """
    rim = max(1, round(RIM * len(mask)))
    inside = cv2.dilate(mask, np.ones((3, 3), np.uint8), iterations=rim) > 0
    if inside.all() or not inside.any():
        return lesion if inside.all() else background
    places = np.argwhere(inside)
    number = np.cumsum(inside).reshape(inside.shape) - 1
    neighbours, equations, right = np.zeros(len(places)), [], np.zeros((len(places), 3))
    for step in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        y, x = (places + step).T
        here = np.flatnonzero((y >= 0) & (y < len(mask)) & (x >= 0) & (x < len(mask)))
        there = y[here], x[here]
        neighbours[here] += 1
        right[here] += lesion[tuple(places[here].T)].astype(float) - lesion[there]
        unknown = inside[there]
        right[here[~unknown]] += background[there][~unknown]
        equations.append((here[unknown], number[there][unknown]))
    rows, columns = (np.concatenate(part) for part in zip(*equations, strict=True))
    system = sparse.coo_matrix((-np.ones(len(rows)), (rows, columns)), shape=(len(places),) * 2)
    solved = splu((system + sparse.diags(neighbours)).tocsc()).solve(right)
    blended = background.copy()
    blended[inside] = solved.round().clip(0, 255).astype(np.uint8)
    return blended
