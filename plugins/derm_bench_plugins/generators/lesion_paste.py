"""Lesions cut out and pasted onto other skin: object-based augmentation (XtremeAugment; Nesteruk et al. 2022) and ZSAL,
as far as paper 000 describes it: a lesion is cut out along its contour and placed on skin without a lesion.

    lesion      from a real image of the class, cut out by its mask (or Otsu's), rotated, scaled, mirrored and deformed
    background  a real image of any class with similar skin and a small lesion, inpainted with the surrounding skin
    blend       an alpha channel feathered across the contour, or Poisson blending (Perez et al. 2003)

Nothing is trained. The label is that of the lesion. The following are choices. Data sets of lesions have no images
without a lesion, so that backgrounds are inpainted (Telea 2004, over the mask and a margin of a twentieth of the side;
the grain of the skin is added as noise of the same standard deviation). A pasted lesion is near the position of the
background's lesion, which hides most of the inpainting. A smooth random field displaces lesion and contour together, so
that the border keeps its appearance. A lesion that the frame cuts off is continued by its mirror image. Feathering, the
default, keeps the lesion's colours, which are diagnostic. Poisson blending keeps the gradients and shifts the colours
by the difference of the two skins: on another skin, a blue lesion turns olive. The background is therefore drawn from
the tenth of the images whose skin has the nearest mean colour. The source ids are the images of the lesions, and the
attribute `background` names the images of the skin.
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

MARGIN = (
    0.05  # margin around the inpainted region, as a fraction of the side, because masks are drawn tightly
)
FEATHER = 0.02  # standard deviation of the alpha channel's edge, as a fraction of the side
NEAR = 0.1  # fraction of all backgrounds to choose from, those with the most similar skin
RIM = 0.03  # width of the skin around the lesion that is blended with it, as a fraction of the side


class LesionPaste(ModulePlugin):
    """Pastes lesions of the requested class onto backgrounds of all classes. The fit determines the order of
    lesions."""

    def __init__(self, options: LesionPasteOptions, task: Task) -> None:
        self.options = options
        self.order = DrawOrder()
        self._known: tuple[ImageSet, torch.Tensor, torch.Tensor] | None = None

    def fit(self, train: ImageSet, run: Run) -> None:
        """Determine the order in which images are drawn."""
        self.order.fix(run.seed)

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        if train is None:
            raise ValueError("lesion-paste needs training images to cut lesions from, but got none")
        rows = self.order.of_class(train, request)
        draws = np.random.default_rng(child_seed(request.seed, "paste"))
        lesions, skins = train.subset(rows), train.subset(self.backgrounds(train, rows, draws))
        images = [self.paste(*pair, draws) for pair in zip(*pictures(lesions), *pictures(skins), strict=True)]
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
        return Samples(pixels, list(lesions.ids), {"background": list(skins.ids)})

    def backgrounds(self, train: ImageSet, rows: torch.Tensor, draws: np.random.Generator) -> torch.Tensor:
        """Return a background for each lesion, as rows of `train`: another image, drawn from those with the most
        similar skin."""
        clear, tones = self.clear(train)
        distance = torch.cdist(tones[rows], tones[clear])
        distance[rows[:, None] == clear] = torch.inf  # never the lesion's image, unless it is the only one
        near = distance.argsort(dim=1)[:, : max(1, math.ceil(NEAR * (len(clear) - 1)))]
        chosen = torch.from_numpy(draws.integers(near.shape[1], size=(len(rows), 1)))
        return clear[near.gather(1, chosen)[:, 0]]

    def clear(self, train: ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the rows of possible backgrounds, and the skin tone [N,3] of every image.

        Possible backgrounds are images whose lesion covers at most `largest_background` of the image; if there are
        none, the tenth of the images with the smallest lesions. The result is computed once per training set.
        """
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
        """Return one image uint8 [S,S,3]: the lesion within `contour`, pasted at the position of the mask `covered`."""
        lesion, contour = self.reshaped(lesion, contour, middle(covered), draws)
        background = inpainted(skin, covered, draws)
        blend = poisson if self.options.blend == "poisson" else feathered
        return blend(lesion, contour, background)

    def reshaped(
        self, image: np.ndarray, mask: np.ndarray, target: np.ndarray, draws: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return image and mask rotated, scaled, possibly mirrored and deformed about the middle of the mask.

        The middle is moved to `target` (y, x), shifted by up to `move`. The image is resampled only once.
        """
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
        # The image is mirrored beyond the frame, so only the region connected with the lesion belongs to it.
        solid = np.where(outline > 127, 255, 0).astype(np.uint8)
        return moved, component_at(solid, to) if solid.any() else solid

    def parts(self) -> dict[str, nn.Module]:
        return {"order": self.order}


def lesions_and_skin(train: ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the fraction [N] of each image that its lesion covers, and the skin tone [N,3], both float32.

    They are computed in chunks, because the whole set as floats would take four times its memory.
    """
    shares, tones = [], []
    for rows in torch.arange(len(train)).split(CHUNK):
        some = train.subset(rows)
        lesion = (lesion_masks(some) > 0).float()
        shares.append(lesion.mean(dim=(1, 2, 3)))
        tones.append(skin_tones(some.images.contiguous(), lesion))
    return torch.cat(shares), torch.cat(tones)


def pictures(images: ImageSet) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the images uint8 [S,S,3] and their masks uint8 [S,S]."""
    pixels = images.images.permute(0, 2, 3, 1).contiguous().numpy()
    return list(pixels), list(lesion_masks(images)[:, 0].numpy())


def middle(mask: np.ndarray) -> np.ndarray:
    """Return the mean position (y, x) of a non-empty mask."""
    place: np.ndarray = np.argwhere(mask > 0).mean(axis=0)
    return place


def displacement(side: int, deviation: float, draws: np.random.Generator) -> np.ndarray:
    """Return a smooth field of displacements, float64 [2,side,side], with standard deviation `deviation` in pixels.

    It is normal noise, smoothed by a Gaussian of an eighth of the side.
    """
    noise = draws.standard_normal((side, side, 2))
    smooth = cv2.GaussianBlur(noise, (0, 0), side / 8, borderType=cv2.BORDER_REFLECT)
    field: np.ndarray = deviation * np.moveaxis(smooth / smooth.std(), 2, 0)
    return field


def inpainted(image: np.ndarray, mask: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Return the image with the region of the mask inpainted from the surrounding skin."""
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
    """Return the lesion's pixels inside the mask and the background's pixels outside, mixed across the contour."""
    alpha = cv2.GaussianBlur(mask.astype(np.float64) / 255, (0, 0), max(0.5, FEATHER * len(mask)))[:, :, None]
    mixed: np.ndarray = (alpha * lesion + (1 - alpha) * background).round().astype(np.uint8)
    return mixed


def poisson(lesion: np.ndarray, mask: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Return the background with the gradients of the lesion and a rim of skin around it; it does not change elsewhere.

    f minimises the difference between its gradients and those of the lesion, and equals the background at the edge of
    the rim: for each pixel p inside, over its neighbours q in the frame, sum (f_p - f_q) = sum (g_p - g_q) (Perez et
    al. 2003, equation 7). The frame imposes no boundary condition, so that it may cut off a lesion. (OpenCV's
    seamlessClone erodes the mask by three pixels, which is a large part of a small lesion, and fixes f at the frame.)
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
