"""Source digests: a name that a module hands on leads to where it is defined."""

import pytest


def test_a_module_of_imports_alone_leads_to_where_the_name_is_defined(installed):
    write, digest = installed
    write("other", "def paint():\n    return 1\n")
    write(
        "api",
        "from toyplug.helper import scale\nfrom toyplug.other import paint\n__all__ = ['scale', 'paint']\n",
    )
    write("model", "from toyplug.api import scale\n")
    before = digest()
    assert set(before.modules) == {"toyplug.helper", "toyplug.model"}, "and not to what stands beside it"
    write("other", "def paint():\n    return 2\n")
    assert digest() == before
    write("helper", "def scale():\n    return 3\n")
    assert digest() != before


def test_a_name_is_followed_over_several_modules_and_under_another_name(installed):
    write, digest = installed
    write("inner", "from toyplug.helper import scale as times\n")
    write("api", "from .inner import times as scale_by\n")
    write("model", "from toyplug.api import scale_by\n")
    assert set(digest().modules) == {"toyplug.helper", "toyplug.model"}


def test_a_module_of_a_plugin_that_does_more_than_hand_on_counts_whole(installed):
    write, digest = installed
    write("api", "from toyplug.helper import scale\nscale.factor = 2\n")
    write("model", "from toyplug.api import scale\n")
    before = digest()
    assert set(before.modules) == {"toyplug.api", "toyplug.helper", "toyplug.model"}
    write("api", "from toyplug.helper import scale\nscale.factor = 3\n")
    assert digest() != before


def test_a_name_that_derm_bench_hands_on_leads_to_its_home(installed):
    write, digest = installed
    write("model", "from derm_bench.specs import SampleRequest\n")
    assert set(digest().modules) >= {"derm_bench.protocols"}
    assert "derm_bench.options.classifier" not in digest().modules


@pytest.mark.parametrize(
    "source",
    [
        "from derm_bench.api import Ema, GeneratorSpec\n",
        "from derm_bench import api\nEma = api.Ema\n",
        "import derm_bench.api as bench\ndef fit(net):\n    return bench.Ema(net, 0.9)\n",
        "import derm_bench.api\nclass Mine(derm_bench.api.Ema):\n    pass\n",
    ],
)
def test_the_public_interface_leads_to_what_is_used_of_it(installed, source):
    write, digest = installed
    write("model", source)
    own = {name for name in digest().modules if not name.startswith("toyplug")}
    assert "derm_bench.training.ema" in own
    write("model", "from derm_bench.training.ema import Ema\n")
    assert own == {name for name in digest().modules if not name.startswith("toyplug")}


@pytest.mark.parametrize(
    "source",
    [
        "from derm_bench.api import *\n",
        "from derm_bench import api\ndef fit(name):\n    return getattr(api, name)\n",
    ],
)
def test_all_of_the_public_interface_counts_where_it_cannot_be_told_what_is_used(installed, source):
    write, digest = installed
    write("model", source)
    assert set(digest().modules) >= {"derm_bench.training.ema", "derm_bench.training.engine"}


def test_options_that_are_declared_through_the_public_interface_do_not_lead_to_training(package, defined):
    write, _ = package
    base = "from derm_bench.specs import GeneratorOptions as Base\nclass Mine(Base):\n    n: int = 1\n"
    write("options", base)
    without = set(defined("toyplug.options", "Mine").modules)
    write("options", "from derm_bench import api\nclass Mine(api.GeneratorOptions):\n    n: int = 1\n")
    assert set(defined("toyplug.options", "Mine").modules) == without


def test_names_that_a_plugin_imports_on_demand_count(installed):
    write, digest = installed
    lazy = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toyplug.helper import scale\n"
    write("api", f"{lazy}def __getattr__(name):\n    import importlib\n")
    write("model", "from toyplug.api import scale\n")
    assert "toyplug.helper" in digest().modules


def test_modules_that_lead_in_a_circle_are_left_alone(installed):
    write, digest = installed
    write("api", "from toyplug.inner import scale\n")
    write("inner", "from toyplug.api import scale\n")
    write("model", "from toyplug.api import scale\n")
    assert "toyplug.model" in digest().modules
