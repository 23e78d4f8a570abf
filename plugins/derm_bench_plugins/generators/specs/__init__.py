"""Options and specs of the generators, one module per generator. Nothing in this package imports torch."""

from __future__ import annotations

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs import (
    aagan,
    acgan,
    blur,
    bottleneck,
    cgan,
    command,
    dcgan,
    dcgan_mutepfe,
    dermagan,
    dermgan,
    duplicate,
    efgan,
    folder,
    graded,
    hair_volume,
    hierarchy,
    iagan,
    lapgan,
    lesion_paste,
    more_real,
    noise,
    r3gan,
    semi_gan,
    shuffled_label,
    spggan,
    stylegan2,
    tedgan,
    vanilla_gan,
)

MODULES = (
    *(dcgan, vanilla_gan, dermagan, dcgan_mutepfe),
    *(cgan, acgan, semi_gan, tedgan),
    *(lapgan, spggan, stylegan2, graded, hierarchy, r3gan),
    *(iagan, efgan, dermgan, lesion_paste),
    *(aagan, hair_volume),
    *(duplicate, blur, bottleneck, shuffled_label, more_real, noise),
    *(folder, command),
)

SPECS: list[GeneratorSpec] = [*(module.SPEC for module in MODULES), *stylegan2.MORE]
