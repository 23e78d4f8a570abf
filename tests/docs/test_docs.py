"""The documentation: everything a user or a plugin author can write is described, and the reference has all of it."""

import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
import types
from pathlib import Path

import click
import numpy as np
import pluggy
import pytest
from PIL import Image
from pydantic import BaseModel, Field
from tests.conftest import ROOT

from derm_bench import api, hookspecs, images, protocols, run, specs
from derm_bench.markers import PROJECT, hookimpl
from derm_bench.matrix import model
from derm_bench.matrix.options import compose_options
from derm_bench.plugins import Plugins
from derm_bench.plugins.checks import HOOKS, check_module, specs_of

BUILT_INS = Plugins(builtins_only=True)


def load_generator(module="generate"):
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The generated pages' text, by name."""
    folder = tmp_path_factory.mktemp("docs") / "reference"
    load_generator().write(folder)
    return {path.stem: path.read_text() for path in folder.glob("*.md")}


def models():
    """Every pydantic model that a matrix may write: its own, and the options of built-in plugins."""
    found = {value for module in (specs, model) for value in vars(module).values() if is_model(value)}
    found |= {compose_options(plugin.spec) for plugin in BUILT_INS.all()}
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


def is_model(value) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel


def dataclasses_of_the_contract():
    return [
        value
        for module in (specs, protocols, run, images)
        for value in vars(module).values()
        if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__
    ]


def example(hook: str) -> str:
    """The code in a hook's docstring."""
    lines = inspect.getdoc(getattr(hookspecs, hook)).splitlines()
    return "\n".join(line[4:] for line in lines if line.startswith("    ") or not line)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_an_example_that_the_loader_takes(hook):
    module = types.ModuleType("an_example")
    names = vars(specs) | {"hookimpl": hookimpl, "Field": Field, "Path": Path, "sys": sys}
    module.__dict__.update({name: names[name] for name in names if not name.startswith("_")})
    module.DERM_BENCH_API = 1
    exec(example(hook), module.__dict__)
    assert hasattr(module, hook)

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    check_module(module)
    manager.register(module)
    found = list(specs_of(manager, module))
    lifecycle = hook.removeprefix("derm_bench_") in ("run_start", "stage_finish", "log", "run_finish")
    assert len(found) == (0 if lifecycle else 1)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_in_the_reference_and_in_a_test(hook, pages):
    assert f"## {hook}\n" in pages["hooks"]
    assert f"def {hook}" in pages["hooks"]
    here = ROOT / "tests" / "docs"
    tests = [path for path in (ROOT / "tests").rglob("*.py") if here not in path.parents]
    assert [path.name for path in tests if re.search(rf"\b{hook}\b", path.read_text())], (
        f"no test names {hook}"
    )


@pytest.mark.parametrize("found", models(), ids=lambda found: f"{found.__module__}.{found.__qualname__}")
def test_every_option_has_a_description(found):
    assert [name for name, field in found.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("found", dataclasses_of_the_contract(), ids=lambda found: found.__name__)
def test_every_field_of_a_dataclass_is_in_its_docstring(found):
    lines = [vars(kind).get("__doc__") or "" for kind in found.__mro__ if dataclasses.is_dataclass(kind)]
    text = " ".join(lines)
    fields = [field.name for field in dataclasses.fields(found)]
    assert [name for name in fields if not re.search(rf"`{name}\b|\b{name}: ", text)] == []


def test_every_plugin_and_option_is_in_the_reference(pages):
    for plugin in BUILT_INS.all():
        heading = f"### {plugin.spec.name}\n"
        assert heading in pages["plugins"]
        section = pages["plugins"].split(heading, 1)[1].split("\n##", 1)[0]
        own = set(plugin.spec.options.model_fields) - set(pages_of_kind(plugin.kind))
        assert [name for name in own if f"| `{name}` |" not in section] == []
    for name in (*specs.GeneratorOptions.model_fields, *specs.ClassifierOptions.model_fields):
        assert f"| `{name}` |" in pages["plugins"]


def pages_of_kind(kind: str):
    common = {"generator": specs.GeneratorOptions, "classifier": specs.ClassifierOptions}.get(
        kind, specs.Options
    )
    return common.model_fields


def test_every_spec_and_field_is_in_the_reference(pages):
    for spec in (*specs.SPEC_TYPES.values(), specs.PluginSpec, specs.Task, specs.SampleRequest, specs.Ref):
        section = pages["specs"].split(f"## {spec.__name__}\n", 1)[1].split("\n## ", 1)[0]
        assert all(f"| `{name}` |" in section for name in spec.__annotations__)


def test_every_key_of_a_matrix_is_in_the_reference(pages):
    generate = load_generator()
    written = {found for found in models() if found.__module__ == model.__name__}
    others = {model.Matrix, model.PluginUse, model.MetricUse, model.ExecutorUse}
    assert written - set(generate.PLACES) == others
    for found, place in generate.PLACES.items():
        section = pages["matrix"].split(f"\n## {place}\n", 1)[1].split("\n## ", 1)[0]
        assert [
            name
            for name in generate.entry_fields(found)
            if name != "preset" and f"| `{name}` |" not in section
        ] == []
    for name in set(model.Matrix.model_fields) - {"file"}:
        assert f"| `{name}` |" in pages["matrix"]


COMMANDS = dict(load_generator("cli_page").commands())


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_flag_has_help_and_is_in_the_reference(path, pages):
    command = COMMANDS[path]
    assert (command.help or "").strip()
    section = pages["cli"].split(f"## {path}\n", 1)[1].split("\n## ", 1)[0]
    for param in command.params:
        if isinstance(param, click.Option):
            assert (param.help or "").strip(), param.opts
            assert f"`{param.opts[0]}" in section
        else:
            assert param.make_metavar(click.Context(command)).strip("[]").split("|")[0] in section


def test_every_tracker_is_documented():
    text = (ROOT / "docs" / "trackers.md").read_text()
    assert [name for name in BUILT_INS.trackers() if f"| `{name}` |" not in text] == []


@pytest.mark.parametrize("name", ["matrix", "api"])
def test_a_committed_page_of_the_reference_is_up_to_date(pages, name):
    """`python docs/generate.py` writes it."""
    assert (ROOT / "docs" / "reference" / f"{name}.md").read_text() == pages[name]


def test_the_heads_of_published_tables_and_boards_are_up_to_date():
    """`python docs/generate.py` writes them."""
    for page, text in load_generator("heads").pages():
        assert page.read_text() == text, page


def test_the_reference_has_every_name_of_the_public_interface(pages):
    headings = re.findall(r"^### (\w+)$", pages["api"], flags=re.MULTILINE)
    assert sorted(headings) == sorted(api.__all__)
    for name in headings:
        section = pages["api"].partition(f"\n### {name}\n")[2].partition("\n#")[0]
        assert len(section.split()) >= 3, name


GENERATED = ("readme.md", "contributing.md", "changelog.md")
REFERENCE = [ROOT / "docs" / "reference" / name for name in ("matrix.md", "api.md")]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md", *REFERENCE]
PAGES += [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in GENERATED]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_no_directives_which_github_would_show_raw(page):
    text = page.read_text()
    assert re.findall(r"^\s*(?:```+|:::+)\{.*|^\.\. \w+::.*|^\([\w-]+\)=$", text, re.MULTILINE) == []
    assert re.findall(r"\{(?:ref|doc|term|numref|py:\w+)\}`", text) == []


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "index.md").read_text()
    listed = set(re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", index, re.MULTILINE))
    there = {page.name for page in PAGES if page.parent == ROOT / "docs"} - {"index.md"}
    there |= {f"reference/{page.name}" for page in REFERENCE}
    assert there | {"../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md"} == listed


def command_lines(text: str):
    """The words after `derm-bench` of each command, in code blocks and in code within a sentence."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for line in [line for block in blocks for line in block.splitlines()]:
        for found in re.findall(r"(?:^|&& )derm-bench ([^#>&|]*)", line):
            yield found.split()
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from (found.split() for found in re.findall(r"`derm-bench ([^`]+)`", prose))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_flags_in_a_page_exist(page):
    for words in command_lines(page.read_text()):
        path, told = "derm-bench", words
        while told and f"{path} {told[0]}" in COMMANDS:
            path, told = f"{path} {told[0]}", told[1:]
        assert path != "derm-bench" or told[0].startswith(("-", "COMMAND")), words
        parameters = (*COMMANDS[path].params, *COMMANDS["derm-bench"].params)
        known = {name for parameter in parameters for name in parameter.opts}
        flags = {word.strip("[]").split("=")[0] for word in told if word.strip("[]").startswith("--")}
        assert flags - {"--help"} <= known, words


def test_readme_has_what_a_stranger_looks_for():
    text = (ROOT / "README.md").read_text()
    assert "git clone" in text and "https://doi.org/10.7910/DVN/DBW86T" in text
    assert "## Use your own images" in text and "groups.csv" in text
    assert "(docs/fairness.md)" in text and "(docs/reference/matrix.md)" in text
    for word in ("strategy", "cell", "arm", "stage"):
        assert f"\n| {word} | " in text


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    for package in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(package)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", tmp_path / "trees"]
    done = subprocess.run(
        [*command, ROOT / "docs", tmp_path / "site"], capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    reference = tmp_path / "site" / "reference"
    assert "z_dim" in (reference / "plugins.html").read_text()
    assert "runs/&lt;matrix name&gt;" in (reference / "cli.html").read_text()


def own_images(folder: Path) -> None:
    """Images in the layout of README's section, 24 per class, two of each patient."""
    rows = ["image,group"]
    for label in ("melanoma", "nevus"):
        (folder / label).mkdir(parents=True)
        for number in range(24):
            pixels = np.random.default_rng([len(label), number]).integers(0, 255, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number:04}.png")
            rows.append(f"{label}/{number:04}.png,{label}-patient-{number // 2}")
    (folder / "groups.csv").write_text("\n".join(rows) + "\n")


def test_the_matrix_for_your_own_images_plans_as_it_stands_in_the_readme(tmp_path, in_process):
    section = (ROOT / "README.md").read_text().split("## Use your own images", 1)[1].split("\n## ", 1)[0]
    (matrix,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (tmp_path / "mine.yaml").write_text(matrix)
    own_images(tmp_path / "my-images")
    ran = in_process("plan", "mine.yaml")
    assert ran.code == 0, ran.err
    assert "9 cells" in ran.out
    (tmp_path / "my-images" / "groups.csv").unlink()
    assert in_process("plan", "mine.yaml").code == 0
