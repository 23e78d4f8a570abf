"""Every built-in passes the kit that third parties are held to: with `tiny` here, whole with `-m slow`."""

from derm_bench.testing import ClassifierConformance, GeneratorConformance


class TestDcgan(GeneratorConformance):
    plugin = "dcgan"


class TestDermaganCnn(ClassifierConformance):
    plugin = "dermagan-cnn"


class TestTimm(ClassifierConformance):
    plugin = "timm"
