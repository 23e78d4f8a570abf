"""Options and specs of the classifiers, one module per classifier. Nothing in this package imports torch."""

from __future__ import annotations

from derm_bench.specs import ClassifierSpec
from derm_bench_plugins.classifiers.specs import (
    ab_mtedeep,
    dermagan_cnn,
    discriminator,
    ensemble,
    epolstm_pdl,
    mobilenet_lstm,
    timm,
    torchvision,
)

MODULES = (timm, torchvision, dermagan_cnn, mobilenet_lstm, ab_mtedeep, epolstm_pdl, discriminator, ensemble)

SPECS: list[ClassifierSpec] = [module.SPEC for module in MODULES]
