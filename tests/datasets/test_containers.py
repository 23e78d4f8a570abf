"""Images inside of one file, HDF5 or .npz, which may be damaged or made to do harm."""

import io
import zipfile

import numpy as np
import pytest
from tests.datasets.trees import TREES, isic_patients

from derm_bench.errors import UserError
from derm_bench.specs import RawImage, Task, Unreadable, create
from derm_bench_plugins.datasets import npz_rows, specs

SPECS = {spec.name: spec for spec in specs()}


def opened(name, options):
    spec = SPECS[name]
    chosen = spec.options(**options)
    return create(spec, chosen, Task((), 16)), chosen


# ------------------------------------------------------------------------------------------- .npz


def test_rows_are_the_same_in_any_order_compressed_or_not(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), dtype=np.uint8)
    np.savez(tmp_path / "plain.npz", images=values)
    np.savez_compressed(tmp_path / "small.npz", images=values)
    monkeypatch.setattr(npz_rows, "KEPT_BYTES", 5 * 48)
    for name in ("plain.npz", "small.npz"):
        rows = npz_rows.Npz(tmp_path / name).array("images")
        for chosen in ([3, 1, 2], [40, 41], [38, 39], [7], list(range(50)), [49, 0, 49]):
            assert np.array_equal(np.stack(rows.take(chosen)), values[chosen])


def npz(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved(np.array([{"a": 1}], dtype=object), allow_pickle=True), "integers in rows, not object"),
        (saved(np.zeros((3, 2, 2, 3), np.uint8))[:-1], "states 164 bytes and has 163"),
        (saved(np.zeros((3, 2, 2, 3), np.uint8, order="F")), "integers in rows"),
        (saved(np.zeros(3)), "integers in rows, not float64"),
        (b"\x93NUMPY\x09\x00", "header cannot be read"),
        (b"", "header cannot be read"),
    ],
)
def test_an_array_that_is_not_what_it_states_is_refused(content, message, tmp_path):
    npz(tmp_path / "a.npz", images=content)
    with pytest.raises(UserError, match=message):
        npz_rows.Npz(tmp_path / "a.npz").array("images")


def test_an_array_that_is_too_large_is_refused_before_it_is_read(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", images=np.zeros((1000, 1000), np.uint8))
    monkeypatch.setattr(npz_rows, "MAX_BYTES", 10**5)
    with pytest.raises(UserError, match="more than"):
        npz_rows.Npz(tmp_path / "bomb.npz")


def test_what_is_no_archive_is_refused(tmp_path):
    (tmp_path / "dermamnist.npz").write_text("not a zip")
    dataset, options = opened("medmnist", {"root": tmp_path})
    with pytest.raises(UserError, match=r"not a valid \.npz"):
        dataset.describe(options)


def test_the_side_of_another_file_is_suggested(tmp_path):
    TREES["medmnist"]["64 pixels"](tmp_path)
    dataset, options = opened("medmnist", {"root": tmp_path})
    with pytest.raises(UserError, match=r"no dermamnist\.npz in") as error:
        dataset.describe(options)
    assert error.value.hint == "set `side: 64`"
    dataset, options = opened("medmnist", {"root": tmp_path / "dermamnist_64.npz"})
    with pytest.raises(UserError, match="images of 64 pixels, and `side` is 28"):
        dataset.describe(options)


def test_labels_that_dermamnist_does_not_have_are_refused(tmp_path):
    tree = TREES["medmnist"]["28 pixels"](tmp_path)
    with np.load(tmp_path / "dermamnist.npz") as archive:
        arrays = dict(archive)
    arrays["val_labels"][3] = 7
    np.savez_compressed(tmp_path / "dermamnist.npz", **arrays)
    dataset, options = opened("medmnist", tree.options)
    with pytest.raises(UserError, match="unknown labels in val_labels: 7, first in row 3"):
        dataset.describe(options)


# ------------------------------------------------------------------------------------------- HDF5


def test_images_in_hdf5_that_are_none_or_lead_elsewhere_are_set_aside(tmp_path):
    h5py = pytest.importorskip("h5py")
    tree = isic_patients.hdf5_of_2024(tmp_path)
    names = list(tree.labels)
    (tmp_path / "secret.h5").touch()
    with h5py.File(tmp_path / "secret.h5", "w") as other:
        other["image"] = np.void(isic_patients.encoded(0))
    with h5py.File(tmp_path / "train-image.hdf5", "a") as file:
        for name in names[:6]:
            del file[name]
        file[names[0]] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "image")
        file[names[1]] = h5py.SoftLink(f"/{names[7]}")
        file.create_group(names[2])
        file[names[3]] = np.zeros(10)
        file[names[4]] = np.void(b"no image")
        file.create_dataset(names[5], (10**10,), "u1", compression="gzip", chunks=(2**20,))
    (tmp_path / "secret.h5").rename(tmp_path / "secret")
    dataset, options = opened("isic-2024", tree.options)
    assert len(dataset.describe(options).ids) == 9
    read = list(dataset.read(names))
    assert [type(image) for image in read] == [*[Unreadable] * 6, *[RawImage] * 3]
    reasons = [image.reason for image in read[:6]]
    assert reasons[0] == reasons[1] == "a link inside of the file"
    assert "data set" in reasons[2] and "not bytes" in reasons[3] and "not an image" in reasons[4]
    assert "MiB" in reasons[5]


def test_images_missing_in_hdf5_are_rows_without_an_image(tmp_path):
    h5py = pytest.importorskip("h5py")
    tree = isic_patients.hdf5_of_2024(tmp_path)
    with h5py.File(tmp_path / "train-image.hdf5", "a") as file:
        del file[next(iter(tree.labels))]
    dataset, options = opened("isic-2024", tree.options)
    with pytest.raises(UserError, match=r"1 rows of train-metadata\.csv without an image"):
        dataset.describe(options)
    dataset, options = opened("isic-2024", {**tree.options, "partial": True})
    assert len(dataset.describe(options).ids) == 8


def test_what_is_no_hdf5_is_refused(tmp_path):
    pytest.importorskip("h5py")
    isic_patients.metadata_of_2024(tmp_path, list(isic_patients.isic(1, 3)))
    (tmp_path / "train-image.hdf5").write_text("no")
    dataset, options = opened("isic-2024", {"root": tmp_path})
    with pytest.raises(UserError, match="not a valid HDF5 file"):
        dataset.describe(options)
