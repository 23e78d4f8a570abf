"""CITATION.cff follows the Citation File Format 1.2.0, and is about this version."""

import re

import pytest
import yaml
from tests.conftest import ROOT

from derm_bench import __version__

# The keys of the schema 1.2.0, https://github.com/citation-file-format/citation-file-format/blob/1.2.0/schema.json.
REQUIRED = {"cff-version", "message", "title", "authors"}
OPTIONAL = {
    *("abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license"),
    *("license-url", "preferred-citation", "references", "repository", "repository-artifact"),
    *("repository-code", "type", "url", "version"),
}
ENTITY = {
    *("address", "alias", "city", "country", "date-end", "date-start", "email", "fax", "location", "name"),
    *("orcid", "post-code", "region", "tel", "website"),
}
PERSON = {"affiliation", "family-names", "given-names", "name-particle", "name-suffix"} | ENTITY - {"name"}


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_keys_are_those_of_the_schema(citation):
    assert citation["cff-version"] == "1.2.0"
    assert set(citation) >= REQUIRED and set(citation) <= REQUIRED | OPTIONAL
    assert citation["type"] in ("software", "dataset")
    for author in citation["authors"]:
        assert set(author) <= (ENTITY if "name" in author else PERSON) and author
    texts = [citation[key] for key in ("message", "title", "abstract", "license")] + citation["keywords"]
    assert all(isinstance(text, str) and text for text in texts)
    assert len(set(citation["keywords"])) == len(citation["keywords"])


def test_it_is_about_this_version_and_its_licence(citation):
    assert str(citation["version"]) == __version__
    stated = re.search(r'^license = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert citation["license"] == stated[1]
