"""Text of users and plugins survives terminals, tables and records."""

import io
import itertools

import pytest
from pydantic import BaseModel, Field
from rich.table import Table

from derm_bench.cli.plugins import _print_options
from derm_bench.plain_text import LONGEST, csv_cell, from_csv_cell, listed, printable, recorded
from derm_bench.rundir.frames import make_frame, read_csv, write_csv
from derm_bench.rundir.schema import COMPOSITION, RESULTS
from derm_bench.terminal import PlainConsole, say
from derm_bench.worker.perform import failure_fields

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "'=1", "''-x", "\uff1d1", '=HYPERLINK("http://x","y")')


def test_control_characters_are_written_as_escapes():
    assert printable("\x1b[31mred\x07\x9b\r\u202e\x7f") == "\\x1b[31mred\\x07\\x9b\\x0d\\u202e\\x7f"
    assert printable("two\r\nlines\tand é 皮") == "two\nlines\tand é 皮"
    assert printable("\udce9") == "\\udce9"


def test_what_is_recorded_is_bounded_and_keeps_both_ends():
    text = recorded("begin" + "x" * 200_000 + "end")
    assert text.startswith("begin") and text.endswith("end") and len(text) < LONGEST + 100
    assert recorded("short") == "short" and recorded(text, len(text)) == text


def test_cells_of_a_csv_file_read_back_as_they_were_and_begin_no_formula():
    alphabet = "'=+-@\t\r\na\uff1d"
    for length in range(5):
        for letters in itertools.product(alphabet, repeat=length):
            text = "".join(letters)
            assert from_csv_cell(csv_cell(text)) == text
            assert csv_cell(text)[:1] not in tuple("=+-@\t\r\n\uff1d")
    for text in ("mel", "'quoted'", "a=b", "1-2", ""):
        assert csv_cell(text) == text


@pytest.mark.parametrize("name", FORMULAS)
def test_a_table_holds_no_formula_and_reads_back(tmp_path, name):
    rows = [{"dataset": name, "strategy": "dcgan", "class": name, "real": 3, "synthetic": -4}]
    frame = make_frame(rows, COMPOSITION)
    write_csv(frame, tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text()
    assert "-4" in text and not any(cell[:1] in "=+@" for cell in text.splitlines()[1].split(",") if cell)
    assert read_csv(tmp_path / "a.csv", COMPOSITION).equals(frame)


@pytest.mark.parametrize(
    "message",
    [
        "lone \udcff surrogate",
        "x" * 200_000,
        "a\rb",
        "a\r\nb",
        "\x00nul",
        "=1+1",
        '"q",\n\n,',
        "\x1b]0;t\x07",
    ],
)
def test_any_error_survives_the_tables(tmp_path, message):
    error = failure_fields(RuntimeError(message))["error"]["message"]
    for said in (error, message):  # a record of an earlier version may hold the message as it was raised
        frame = make_frame([{"cell": "a/b", "status": "failed", "error": said}], RESULTS)
        write_csv(frame, tmp_path / "a.csv")
        assert read_csv(tmp_path / "a.csv", RESULTS).equals(frame)


def test_an_exception_that_cannot_say_what_it_is_is_recorded_too():
    class Mute(Exception):
        def __str__(self):
            raise ValueError("no")

    assert failure_fields(Mute())["error"]["message"] == "Mute: Mute"


def test_the_terminal_gets_no_control_characters(capsys):
    say("a \x1b[2Jb")
    say("c \udcff", err=True)
    printed = capsys.readouterr()
    assert printed.out == "a \\x1b[2Jb\n" and printed.err == "c \\udcff\n"


def test_a_console_takes_brackets_and_emoji_codes_literally_and_escapes_control_characters():
    console = PlainConsole(file=io.StringIO(), width=80)
    table = Table(title="[/red]")
    table.add_column("[bold]name")
    table.add_row("[/red] :smile: \x1b[31m")
    console.print(table)
    console.print("[/nothing] \x9b1m")
    printed = console.file.getvalue()
    for shown in ("[/red]", "[bold]name", "[/red] :smile: \\x1b[31m", "[/nothing] \\x9b1m"):
        assert shown in printed
    assert "\x1b" not in printed and "\x9b" not in printed


def test_options_of_a_plugin_are_shown_as_they_are_written(capsys):
    class Odd(BaseModel):
        base: int = Field(3, description="[/red] \x1b[2J")

    _print_options(Odd)
    assert "[/red] \\x1b[2J" in capsys.readouterr().out


def test_a_sentence_names_a_few_and_counts_the_others():
    said = {n: listed([*"abcdefg"][:n]) for n in (0, 1, 2, 4, 5, 7)}
    assert said == {0: "", 1: "a", 2: "a and b", 4: "a, b, c and d", 5: "a, b, c, d and 1 more",
                    7: "a, b, c, d and 3 more"}  # fmt: skip
