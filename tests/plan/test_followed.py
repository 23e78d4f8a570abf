"""What belongs to a plugin besides its imports: package data, code under development, and what `depends_on` names."""

import json
import sys
import textwrap

import pytest

from derm_bench.errors import UserError
from derm_bench.plan import closure, declared, distributions
from derm_bench.plan.closure import source_closure, unseen_imports
from derm_bench.plan.listing import changes, digests_in


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Writes files below a site-packages folder and below a checkout, both on the path."""
    for folder in ("site-packages", "checkout"):
        (tmp_path / folder).mkdir()
        monkeypatch.syspath_prepend(str(tmp_path / folder))

    def write(name: str, text: str = "") -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        forget()

    def installed(name: str, *, editable: bool = False, version: str = "1.0") -> None:
        info = f"site-packages/{name}-1.0.dist-info"
        write(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        write(f"{info}/top_level.txt", f"{name}\n")
        if editable:
            write(f"{info}/direct_url.json", json.dumps({"url": "file:///x", "dir_info": {"editable": True}}))

    write.installed = installed
    installed("gan_plugin")
    write("site-packages/gan_plugin/__init__.py")
    write("site-packages/gan_plugin/model.py", "import checkout_helper\n\nclass Gan:\n    pass\n")
    write("checkout/checkout_helper/__init__.py", "SCALE = 2\n")
    yield write
    monkeypatch.undo()
    forget()


def forget() -> None:
    closure.forget_source()
    declared.declared.cache_clear()
    for cached in (
        closure.root_of, closure._own_packages, distributions._installed, distributions._owners,
        distributions.distribution_of, distributions.in_development, distributions.versions_of,
    ):  # fmt: skip
        cached.cache_clear()
    for name in [name for name in sys.modules if name.startswith(("gan_plugin", "checkout_helper"))]:
        del sys.modules[name]


def digests(*targets):
    return digests_in(source_closure(*(targets or ("gan_plugin.model:Gan",))).content)


@pytest.fixture
def changed(project):
    """The names whose digests a file that is written changes."""

    def change(name: str, text: str) -> list[str]:
        before = digests()
        project(name, text)
        return changes(before, digests())

    return change


# ------------------------------------------------------------------------------- package data


def test_the_data_of_its_packages_belong_to_a_plugin(project, changed):
    assert changed("site-packages/gan_plugin/config.json", "{}") == ["gan_plugin/config.json (new)"]
    assert changed("site-packages/gan_plugin/config.json", "[]") == ["gan_plugin/config.json"]
    assert changed("site-packages/gan_plugin/data/names.txt", "a") == ["gan_plugin/data/names.txt (new)"]


@pytest.mark.parametrize(
    "file",
    [
        "site-packages/gan_plugin/README.md",
        "site-packages/gan_plugin/py.typed",
        "site-packages/gan_plugin/.hidden",
        "site-packages/gan_plugin/__pycache__/model.pyc",
        "site-packages/gan_plugin/unrelated.py",
        "site-packages/other/config.json",
        "site-packages/gan_plugin-1.0.dist-info/RECORD",
    ],
)
def test_files_that_a_plugin_does_not_read_do_not(changed, file):
    assert changed(file, "") == []


def test_the_data_of_derm_bench_belong_to_no_key():
    assert source_closure("derm_bench_plugins.generators.dcgan:Dcgan").files == ()


# ------------------------------------------------------------------------- code in development


def test_a_package_that_nobody_installed_is_followed(project, changed):
    project("checkout/checkout_helper/__init__.py", "from checkout_helper.deep import f\n")
    assert changed("checkout/checkout_helper/deep.py", "def f(): pass\n") == ["checkout_helper.deep (new)"]
    assert changed("checkout/checkout_helper/deep.py", "def f(): return 1\n") == ["checkout_helper.deep"]
    assert changed("checkout/checkout_helper/table.csv", "1") == ["checkout_helper/table.csv (new)"]


def test_a_module_in_the_current_folder_is_followed_as_workers_can_import_it(project, tmp_path, monkeypatch):
    project("here/nearby_helper.py", "SCALE = 2\n")
    project("site-packages/gan_plugin/model.py", "import nearby_helper\n")
    assert "nearby_helper" not in digests()
    monkeypatch.chdir(tmp_path / "here")
    forget()
    assert "nearby_helper" in digests()


def test_an_editable_distribution_is_followed_and_another_is_known_by_its_version(project, changed):
    project.installed("checkout_helper", editable=True)
    project("site-packages/checkout_helper/__init__.py", "SCALE = 2\n")
    project("checkout/checkout_helper/__init__.py", "SCALE = 2\n")
    assert changed("checkout/checkout_helper/__init__.py", "SCALE = 3\n") == ["checkout_helper"]
    project("site-packages/checkout_helper-1.0.dist-info/direct_url.json", "{}")
    assert changed("checkout/checkout_helper/__init__.py", "SCALE = 4\n") == []
    assert source_closure("gan_plugin.model:Gan").imports == ("checkout_helper",)


def test_a_library_is_never_read_even_from_a_checkout():
    assert not closure._is_followed("torch") and not closure._is_followed("json")


def test_third_party_plugins_that_build_on_a_built_in_follow_it(project):
    project("site-packages/gan_plugin/model.py", "from derm_bench_plugins.generators.dcgan import Dcgan\n")
    assert "derm_bench_plugins.generators.dcgan_nets" in digests()


# ------------------------------------------------------------------------------ dynamic imports


def test_a_constant_name_is_followed_wherever_it_is_imported(project):
    project("site-packages/gan_plugin/nets.py", "DEPTH = 2\n")
    for call in (
        "importlib.import_module('gan_plugin.nets')",
        "import_module('.nets', __package__)",
        "__import__('gan_plugin.nets')",
    ):
        project("site-packages/gan_plugin/model.py", f"def fit():\n    return {call}\n")
        assert "gan_plugin.nets" in digests(), call
        assert unseen_imports("gan_plugin.model:Gan") == []


@pytest.mark.parametrize(
    "call",
    [
        "importlib.import_module(f'gan_plugin.{name}')",
        "import_module(name)",
        "__import__(name)",
        "runpy.run_path('train.py')",
        "exec(text)",
    ],
)
def test_a_computed_name_is_found_with_its_line(project, call):
    project(
        "site-packages/gan_plugin/model.py", f"def fit(name, text, model):\n    model.eval()\n    {call}\n"
    )
    ((module, found),) = unseen_imports("gan_plugin.model:Gan")
    assert (module, found.line, found.text) == ("gan_plugin.model", 3, call)


def stated(*names):
    return digests_in(declared.declared(names).content)


def test_depends_on_names_modules_package_data_and_distributions(project):
    project("site-packages/gan_plugin/nets.py", "from gan_plugin import blocks\n")
    project("site-packages/gan_plugin/blocks.py", "DEPTH = 2\n")
    assert {"gan_plugin.nets", "gan_plugin.blocks"} <= set(stated("gan_plugin.nets"))
    project("site-packages/gan_plugin/data/a.txt", "1")
    assert set(stated("gan_plugin/data")) == {"gan_plugin/data/a.txt"} == set(stated("gan_plugin/data/a.txt"))
    assert stated("gan-plugin") == {"gan_plugin": "1.0"}
    project.installed("checkout_helper", editable=True)
    project("checkout/checkout_helper/plan.txt", "1")
    before = stated("checkout-helper")
    assert before.keys() == {"checkout_helper/__init__.py", "checkout_helper/plan.txt"}
    project("checkout/checkout_helper/plan.txt", "2")
    assert changes(before, stated("checkout-helper")) == ["checkout_helper/plan.txt"]


def test_depends_on_names_files_beside_a_plugin_of_one_file(project, tmp_path):
    project("checkout/lone_gan.py", "")
    for name in ("lone_gan/mean.npy", "lone_gan/weights"):
        project(f"checkout/{'mean.npy' if 'mean' in name else 'weights/a.bin'}", "1")
        before = stated(name)
        project(f"checkout/{'mean.npy' if 'mean' in name else 'weights/a.bin'}", "2")
        assert len(changes(before, stated(name))) == 1
    assert declared.places_of(("lone_gan/mean.npy",)) == [tmp_path / "checkout/mean.npy"]
    with pytest.raises(UserError, match="lone_gan/absent"):
        stated("lone_gan/absent")


def test_the_kit_lets_a_plugin_open_what_depends_on_names(project, tmp_path):
    place = tmp_path / "site-packages/gan_plugin"
    assert declared.places_of(("gan_plugin/data/a.txt", "gan-plugin")) == [place / "data/a.txt", place]


@pytest.mark.parametrize("name", ["no_such_module", "gan_plugin/absent.json", "nowhere/at/all"])
def test_depends_on_names_what_exists(project, name):
    with pytest.raises(UserError, match=f"names '{name}'"):
        stated(name)
