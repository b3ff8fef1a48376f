"""Reading an NIH folder: labels, ages, splits and boxes, and one clear line for every contradiction."""

import csv
import io
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.nih_folders import BOX_HEADER, HEADER, row, write_csv, write_nih_folder

from chest_xray.data.nih import read_nih
from chest_xray.data.nih_tables import read_boxes, read_entries
from chest_xray.data.split import patient_position, split_by_hash, split_images
from chest_xray.errors import DataError
from chest_xray.findings import FINDINGS


def refusal(folder: Path, **options: float) -> str:
    with pytest.raises(DataError) as caught:
        read_nih(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- the whole folder


def test_a_folder_with_lists(tmp_path: Path) -> None:
    names = write_nih_folder(tmp_path, patients=8, films=3)
    manifest = read_nih(tmp_path, validation_fraction=0.3)
    assert [entry.image for entry in manifest.entries] == sorted(names)
    assert manifest.label_version == "v2020"
    assert manifest.split_source == "lists"
    assert {image for image, split in manifest.splits.items() if split == "test"} == {
        name for name in names if int(name[:8]) % 4 == 0
    }
    assert manifest.entries[2].labels == tuple(int(f in ("Effusion", "Infiltration")) for f in FINDINGS)
    assert manifest.images.files["00000001_000.png"] == str(tmp_path / "images" / "00000001_000.png")


def test_the_2017_labels_are_recorded_as_such_and_v2020_wins(tmp_path: Path) -> None:
    write_nih_folder(tmp_path)
    (tmp_path / "Data_Entry_2017_v2020.csv").rename(tmp_path / "Data_Entry_2017.csv")
    assert read_nih(tmp_path).label_version == "2017"
    (tmp_path / "Data_Entry_2017_v2020.csv").write_bytes((tmp_path / "Data_Entry_2017.csv").read_bytes())
    assert read_nih(tmp_path).label_version == "v2020"


def test_images_in_numbered_folders_as_nih_unpacks(tmp_path: Path) -> None:
    names = write_nih_folder(tmp_path)
    for part, folder in ((names[:5], "images_001/images"), (names[5:], "images_002")):
        (tmp_path / folder).mkdir(parents=True)
        for name in part:
            (tmp_path / "images" / name).rename(tmp_path / folder / name)
    (tmp_path / "images_001" / "images" / f"._{names[0]}").write_bytes(b"macOS")
    assert read_nih(tmp_path).images.files.keys() == set(names)


def test_archives_are_found_only_when_nothing_is_unpacked(tmp_path: Path) -> None:
    write_nih_folder(tmp_path)
    (tmp_path / "images_001.tar.gz").write_bytes(b"x" * 7)
    assert read_nih(tmp_path).images.archives == ()
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    images = read_nih(tmp_path).images
    assert images.archives == (tmp_path / "images_001.tar.gz",)
    assert images.sizes == {"images_001.tar.gz": 7}


def test_the_fingerprint_follows_the_source_and_not_its_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_nih_folder(tmp_path / name)
    first = read_nih(tmp_path / "a").fingerprint
    assert read_nih(tmp_path / "b").fingerprint == first
    (tmp_path / "b" / "images" / "00000001_000.png").write_bytes(b"other size")
    assert read_nih(tmp_path / "b").fingerprint != first


def test_no_images(tmp_path: Path) -> None:
    write_csv(tmp_path, [row("a.png")])
    assert "holds no images: expected images/*.png" in refusal(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "Thumbs.db").write_bytes(b"x")
    assert "cxr download-nih" in refusal(tmp_path)


def test_no_folder_and_no_table(tmp_path: Path) -> None:
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    assert "has no Data_Entry_2017_v2020.csv and no Data_Entry_2017.csv" in refusal(tmp_path)


def test_an_image_file_that_is_there_twice(tmp_path: Path) -> None:
    write_nih_folder(tmp_path)
    (tmp_path / "images_001").mkdir()
    (tmp_path / "images_001" / "00000001_000.png").write_bytes(b"x")
    assert refusal(tmp_path).startswith("00000001_000.png is there twice")


# ---- Data_Entry


def one_entry(tmp_path: Path, line: str) -> object:
    return read_entries(write_csv(tmp_path, [line])).rows[0]


def test_bom_crlf_quotes_and_blank_lines(tmp_path: Path) -> None:
    text = f'{HEADER}\r\n"a.png","Mass|Hernia",0,"7",31,M,AP,1,1,1,1,\r\n\r\n'
    path = tmp_path / "Data_Entry_2017.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    (entry,) = read_entries(path).rows
    assert entry[:5] == ("a.png", 7, 31.0, "M", "AP")
    assert [finding for finding, label in zip(FINDINGS, entry.labels, strict=True) if label] == ["Mass", "Hernia"]


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("60", 60),
        ("060Y", 60),
        ("018M", 1.5),
        ("000D", 0),
        ("0", 0),
        ("120", 120),
        ("12.5", 12.5),
        ("052w", 364 / 365.25),
    ],
)
def test_ages(tmp_path: Path, text: str, years: float) -> None:
    entries = read_entries(write_csv(tmp_path, [row("a.png", age=text)]))
    assert entries.rows[0].age == pytest.approx(years)
    assert entries.unknown["ages"] == 0


@pytest.mark.parametrize("text", ["414", "121", "414Y", "", "old", "-3", "nan", "1e2"])
def test_impossible_ages_are_not_known_and_counted(tmp_path: Path, text: str) -> None:
    entries = read_entries(write_csv(tmp_path, [row("a.png", age=text), row("b.png")]))
    assert math.isnan(entries.rows[0].age)
    assert entries.rows[1].age == 50
    assert entries.unknown == {"ages": 1}


def test_unknown_sex_and_view_are_empty_and_counted(tmp_path: Path) -> None:
    entries = read_entries(write_csv(tmp_path, [row("a.png", sex="", view=""), row("b.png", sex="O")]))
    assert [(entry.sex, entry.view) for entry in entries.rows] == [("", ""), ("", "PA")]
    assert entries.unknown == {"sexes": 2, "views": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            row("b.png", "Mass|Pnuemonia"),
            "line 3: unknown label 'Pnuemonia' in the column 'Finding Labels'; known: Atel",
        ),
        (row("b.png", "Mass|No Finding"), "line 3: 'Mass|No Finding' has a finding and 'No Finding' at once"),
        (row("b.png", ""), "line 3: unknown label ''"),
        (row("a.png"), "line 3: a.png has a row already"),
        (row(""), "line 3: the column 'Image Index' is empty"),
        (row("b.png", patient="P7"), "line 3: the column 'Patient ID' is 'P7'"),
        (row("b.png", patient="-7"), "line 3: the column 'Patient ID' is '-7'"),
        (row("b.png", sex="male"), "line 3: the column 'Patient Gender' is 'male'; expected M or F"),
        (row("b.png", view="LL"), "line 3: the column 'View Position' is 'LL'; expected PA or AP"),
        ("b.png,Mass,0", "line 3: found 3 columns, expected 7 or more"),
        ('b.png,"Mass', "line 3: not a CSV file"),
    ],
)
def test_rows_that_are_refused(tmp_path: Path, line: str, message: str) -> None:
    path = write_csv(tmp_path, [row("a.png"), line])
    with pytest.raises(DataError) as caught:
        read_entries(path)
    assert f"{path}, {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_column_names_the_found_ones(tmp_path: Path) -> None:
    path = write_csv(tmp_path, [], header="Image Index,Labels")
    with pytest.raises(DataError, match="has no column 'Finding Labels'; found: Image Index, Labels"):
        read_entries(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="no column 'Image Index'; found: nothing"):
        read_entries(path)
    with pytest.raises(DataError, match="a header and no rows"):
        read_entries(write_csv(tmp_path, []))


def test_a_table_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "Data_Entry_2017.csv"
    path.write_bytes(HEADER.encode() + b"\n\xff\xfe\x00")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_entries(path)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Z")), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    table=st.lists(
        st.tuples(NAMES, st.sets(st.sampled_from(FINDINGS)), st.integers(0, 10**9), st.integers(0, 120)),
        unique_by=lambda cells: cells[0],
        min_size=1,
        max_size=20,
    ),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    table: list[tuple[str, set[str], int, int]],
    line_end: str,
    quoting: int,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end, quoting=quoting)
    writer.writerow(HEADER.split(","))
    for image, findings, patient, age in table:
        writer.writerow([image, "|".join(sorted(findings)) or "No Finding", 0, patient, age, "F", "AP", 1, 1, 1, 1, ""])
    path = tmp_path_factory.mktemp("csv") / "Data_Entry_2017.csv"
    path.write_bytes(text.getvalue().encode())
    read = read_entries(path).rows
    assert [(entry.image, entry.patient, entry.age) for entry in read] == [(t[0], t[2], t[3]) for t in table]
    assert [{f for f, label in zip(FINDINGS, e.labels, strict=True) if label} for e in read] == [t[1] for t in table]


# ---- boxes


def test_boxes_under_the_bracketed_header(tmp_path: Path) -> None:
    lines = ["a.png,Infiltrate,10.5,20,30,40,,,", "b.png,Mass,1,2,3,4,,,", "a.png,Nodule,5,6,7,8,,,"]
    boxes = read_boxes(write_csv(tmp_path, lines, "BBox_List_2017.csv", BOX_HEADER))
    assert boxes == {
        "a.png": [("Infiltration", 10.5, 20, 30, 40), ("Nodule", 5, 6, 7, 8)],
        "b.png": [("Mass", 1, 2, 3, 4)],
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.png,Cancer,1,2,3,4,,,", "line 2: unknown finding 'Cancer'; known: Atelectasis"),
        ("a.png,Mass,1,2,x,4,,,", "line 2: a box is four numbers x, y, w, h; found 1, 2, x, 4"),
        ("a.png,Mass,1,2,0,4,,,", "line 2: a box has a finite corner and a positive size"),
        ("a.png,Mass,nan,2,3,4,,,", "line 2: a box has a finite corner"),
        ("a.png,Mass,1,2,3", "line 2: found 5 columns, expected 6"),
    ],
)
def test_boxes_that_are_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_boxes(write_csv(tmp_path, [line], "BBox_List_2017.csv", BOX_HEADER))
    assert message in str(caught.value)


# ---- splits


@pytest.mark.parametrize(
    ("train_val", "test", "message"),
    [
        (["a.png", "b.png"], ["b.png"], "b.png is in both train_val_list.txt and test_list.txt"),
        (["a.png"], ["b.png", "x.png"], "test_list.txt: x.png has no row in the Data_Entry CSV"),
        (["a.png"], [], "b.png is in neither train_val_list.txt nor test_list.txt"),
        (["a.png", "a.png"], ["b.png"], "train_val_list.txt names a.png twice"),
        (["a.png"], ["b.png"], "Patient 1 has images in both"),
    ],
)
def test_lists_that_contradict(tmp_path: Path, train_val: list[str], test: list[str], message: str) -> None:
    write_csv(tmp_path, [row("a.png", patient=1), row("b.png", patient=1)])
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"x")
    (tmp_path / "train_val_list.txt").write_text("\n".join(train_val))
    (tmp_path / "test_list.txt").write_text("\n".join(test))
    assert message in refusal(tmp_path)


def test_one_list_without_the_other(tmp_path: Path) -> None:
    write_nih_folder(tmp_path)
    (tmp_path / "test_list.txt").unlink()
    assert "train_val_list.txt is there but test_list.txt is not" in refusal(tmp_path)


def test_known_positions_never_move() -> None:
    """A published data hash depends on these numbers."""
    assert patient_position(1, "validation") == 0.665298383390603
    validation = [patient for patient in range(1, 61) if split_by_hash(patient, 0.1, has_test_list=True) == "val"]
    assert validation == [13, 23, 24, 33, 48, 50, 57]
    assert [p for p in range(1, 31) if split_by_hash(p, 0.1, has_test_list=False) == "test"] == [5, 9, 10, 21]


def test_the_fractions_are_what_was_asked_for() -> None:
    splits = [split_by_hash(patient, 0.1, has_test_list=False) for patient in range(20_000)]
    assert splits.count("test") / 20_000 == pytest.approx(0.2, abs=0.01)
    assert splits.count("val") / 16_000 == pytest.approx(0.1, abs=0.01)


@given(
    patients=st.dictionaries(st.text(min_size=1, max_size=8), st.integers(0, 50), min_size=1),
    fraction=st.floats(0, 0.5),
    with_lists=st.booleans(),
)
def test_no_patient_is_in_two_splits_and_none_moves(
    patients: dict[str, int], fraction: float, with_lists: bool
) -> None:
    test = [image for image, patient in patients.items() if patient % 3 == 0]
    lists = ([image for image in patients if image not in test], test) if with_lists else None
    splits = split_images(patients, lists, fraction)
    assert splits.keys() == patients.keys()
    of_patient: dict[int, set[str]] = {}
    for image, split in splits.items():
        of_patient.setdefault(patients[image], set()).add(split)
    assert all(len(found) == 1 for found in of_patient.values())
    if with_lists:
        assert {image for image, split in splits.items() if split == "test"} == set(test)
    image = next(iter(patients))
    alone = split_images({image: patients[image]}, None if lists is None else ([], [image]), fraction)
    if not with_lists:
        assert alone[image] == splits[image]


@pytest.mark.real_data
def test_the_real_small_folder(real_data: Path) -> None:
    manifest = read_nih(real_data / "nih-mini")
    assert len(manifest.entries) == 1206
    assert len({entry.patient for entry in manifest.entries}) == 966
    splits = list(manifest.splits.values())
    assert (splits.count("train"), splits.count("val"), splits.count("test")) == (873, 99, 234)
    assert sum(entry.labels[FINDINGS.index("Pneumonia")] for entry in manifest.entries) == 315
    assert manifest.boxes == {}
    assert not manifest.unknown
