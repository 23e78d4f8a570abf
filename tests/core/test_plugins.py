"""Plugins: good ones by name, broken ones apart, and never a broken run for somebody else's mistake."""

import pytest

from derm_bench.errors import UserError
from derm_bench.plugins import Plugins
from derm_bench.testing.subject import by_name

GOOD = """
from derm_bench import hookimpl
from derm_bench.specs import GeneratorSpec
DERM_BENCH_API = {api}
@hookimpl
def derm_bench_generators():
    return [GeneratorSpec(name="{name}", summary="x", create="{create}")]
"""
CASES = {
    "import": ("import nothing_of_that_name", "nothing_of_that_name"),
    "api": (GOOD.format(api=2, name="a", create="m:A"), "upgrade derm-bench"),
    "hook": (
        "from derm_bench import hookimpl\nDERM_BENCH_API = 1\n@hookimpl\ndef derm_bench_generatrs():\n    return []",
        "did you mean 'derm_bench_generators'",
    ),
    "spec": (
        "from derm_bench import hookimpl\nDERM_BENCH_API = 1\n"
        "@hookimpl\ndef derm_bench_generators():\n    return [3]",
        "expected GeneratorSpec",
    ),
    "name": (GOOD.format(api=1, name="My Gan", create="m:A"), "not a valid name of a plugin"),
    "exit": ("import sys\nsys.exit('not on this machine')", "SystemExit: not on this machine"),
    "old-api": (GOOD.format(api=0, name="a", create="m:A"), "port it to hook API 1"),
    "no-api": ("from derm_bench import hookimpl", "write DERM_BENCH_API = 1"),
    "unmarked": ("DERM_BENCH_API = 1\ndef derm_bench_generators():\n    return []", "put @hookimpl above it"),
    "hook-arguments": (
        "from derm_bench import hookimpl\nDERM_BENCH_API = 1\n"
        "@hookimpl\ndef derm_bench_log(stage, loss):\n    return None",
        "loss",
    ),
    "hook-raises": (
        "from derm_bench import hookimpl\nDERM_BENCH_API = 1\n"
        "@hookimpl\ndef derm_bench_metrics():\n    return 1 / 0",
        "ZeroDivisionError",
    ),
    "one-spec": (
        GOOD.format(api=1, name="a", create="m:A").replace("[Gen", "Gen").replace(")]", ")"),
        "expected a list of specs",
    ),
    "twice": (GOOD.format(api=1, name="a", create="m:A").rstrip() + " * 2", "returned two specs named 'a'"),
    "word": (
        GOOD.format(api=1, name="a", create="m:A").replace('create="m', 'reads="trian", create="m'),
        "did you mean 'train'",
    ),
    "presets": (
        GOOD.format(api=1, name="a", create="m:A").replace('create="m', 'presets=["tiny"], create="m'),
        "presets must be named sets of options",
    ),
    "batch-option": (
        GOOD.format(api=1, name="a", create="m:A").replace('create="m', 'batch_option="batch", create="m'),
        "batch_option names 'batch', which is no option",
    ),
    "outputs": (
        GOOD.format(api=1, name="a", create="m:A").replace(
            'create="m', 'discriminator_outputs=["d_real"], create="m'
        ),
        "expected two names that fit() logs",
    ),
    "create": (GOOD.format(api=1, name="a", create="m.A"), "package.module:attribute"),
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a distribution with one entry point on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(distribution: str, text: str) -> None:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / f"{module}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[derm_bench]\n{distribution} = {module}\n")

    return put


@pytest.mark.parametrize("case", CASES)
def test_a_broken_plugin_is_listed_with_its_reason_and_the_others_work(install, case):
    text, said = CASES[case]
    install(f"broken-{case}", text)
    plugins = Plugins()
    (broken,) = plugins.broken
    assert said in broken.error
    assert (broken.distribution, broken.version) == (f"broken-{case}", "1.5")
    assert "Traceback" in broken.traceback
    assert plugins.get("generator", "dcgan").name == "dcgan"
    (row,) = [row for row in plugins.listing() if row["status"] == "broken"]
    assert set(row) == {"name", "kind", "distribution", "version", "status", "error"}


def test_two_plugins_of_one_name_are_told_apart_by_their_distribution(install):
    for name in ("one-gan", "other-gan"):
        install(name, GOOD.format(api=1, name="my-gan", create=f"{name.replace('-', '_')}:Gan"))
    plugins = Plugins()
    with pytest.raises(UserError, match="'one-gan:my-gan' or 'other-gan:my-gan'"):
        plugins.get("generator", "my-gan")
    assert plugins.get("generator", "other-gan:my-gan").create == "other_gan:Gan"
    assert {"one-gan:my-gan", "other-gan:my-gan"} <= set(plugins.names("generator"))
    assert [plugin.distribution for plugin in plugins.named("Other_Gan:my-gan")] == ["other-gan"]
    assert [subject.spec.create for subject in by_name("one-gan:my-gan", {})] == ["one_gan:Gan"]


def test_what_a_broken_plugin_registered_is_taken_back(install):
    text, _ = CASES["spec"]
    install("half-good", text + "\n@hookimpl\ndef derm_bench_run_finish(matrix, out, statuses):\n    1 / 0\n")
    plugins = Plugins()
    assert [broken.distribution for broken in plugins.broken] == ["half-good"]
    plugins.hook.derm_bench_run_finish(matrix="m", out=None, statuses={})


def test_a_signal_while_a_plugin_is_loaded_ends_the_command_and_breaks_no_plugin(install):
    """pydantic turns a KeyboardInterrupt that comes while it builds options into an error of its own."""
    install(
        "in-the-middle",
        "import os, signal, time\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0.05)\n"
        "except KeyboardInterrupt as error:\n"
        "    raise ValueError('options cannot be built') from error\n",
    )
    with pytest.raises(KeyboardInterrupt):
        Plugins()


def test_an_unknown_plugin_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'dcgan'"):
        Plugins().get("generator", "dcgna")


def test_builtins_only_leaves_third_parties_out(install):
    install("my-gan", GOOD.format(api=1, name="my-gan", create="my_gan:Gan"))
    assert "my-gan" in Plugins().names("generator")
    assert "my-gan" not in Plugins(builtins_only=True).names("generator")


def test_every_built_in_says_what_it_is_and_has_presets_where_users_expect_them():
    for plugin in Plugins(builtins_only=True).all():
        assert plugin.spec.summary
        if plugin.kind in ("generator", "classifier"):
            assert {"tiny", "smoke"} <= set(plugin.spec.presets), plugin.spec.name
