import re
import unicodedata

import pytest
import readme

from pipeline.core.errors import InputError
from pipeline.datasets.collect import metadata
from pipeline.datasets.collect.folder import LeftOut, layout

FLAT = ("1.jpg", "2.jpg", "3.jpg", "4.jpg", "night/5.jpg")
LABELS = "file_name,label\n1.jpg,owl\n2.jpg,owl\n3.jpg,jay\n4.jpg,jay\nnight/5.jpg,jay\n"


@pytest.fixture
def folder(tmp_path):
    """Five photographs in no class folder."""
    return _touched(tmp_path, FLAT)


@pytest.fixture
def classes(tmp_path):
    """Class folders."""
    return _touched(tmp_path, [f"{label}/{number}.jpg" for label in ("jay", "owl") for number in range(3)])


def _touched(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def _table(folder, text, encoding="utf-8"):
    (folder / metadata.NAME).write_text(text, encoding=encoding)
    return layout(folder)


def _refused(folder, text, message):
    with pytest.raises(InputError, match=message) as refusal:
        _table(folder, text)
    assert "\n" not in str(refusal.value)


def _labels(found):
    return {file.path: file.label for file in found.files}


def test_labels_of_a_table_need_no_class_folders(folder):
    found = _table(folder, LABELS)
    assert _labels(found) == {"1.jpg": "owl", "2.jpg": "owl", "3.jpg": "jay", "4.jpg": "jay", "night/5.jpg": "jay"}
    assert found.left_out == []
    assert found.notes == ("the classes are those of the column label in metadata.csv, whatever folders are called",)
    assert {file.group for file in found.files} == {""}


def test_columns_that_are_not_read_are_named_as_one_may_be_mistyped(folder):
    header, *lines = LABELS.splitlines()
    found = _table(folder, "\n".join([f"{header},parts,,Date", *(f"{line},test,,2024" for line in lines)]))
    assert "columns of metadata.csv that are not read: 'Date', 'parts'; read are label, part and group" in found.notes
    assert {file.part for file in found.files} == {""}


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (LABELS.replace(",", ";"), "utf-8"),
        (LABELS.replace(",", "\t"), "utf-8"),
        (LABELS.replace("\n", "\r\n"), "utf-8-sig"),
        (LABELS.replace("file_name,label", " File_Name , LABEL "), "utf-8"),
        (LABELS.replace("night/", "night\\"), "utf-8"),
        (LABELS.replace("1.jpg", "./1.jpg"), "utf-8"),
        (LABELS + "\n,\n", "utf-8"),
        ("sep=,\n" + LABELS, "utf-8"),
        ("sep=;\r\n\r\n" + LABELS.replace(",", ";"), "utf-8-sig"),
        ('"sep=;"\r\n' + LABELS.replace(",", ";"), "utf-8-sig"),
        ("\n" + LABELS.replace(",", ";"), "utf-8"),
        (";;\r\n \r\n" + LABELS.replace(",", ";"), "utf-8"),
        (LABELS.replace(",", ";").replace("\n", "\r"), "utf-8"),
        (LABELS.replace("1.jpg,owl", " 1.jpg , owl "), "utf-8"),
        (
            LABELS.replace("file_name,label", "file_name,label,weather")
            .replace("\n", ",rain\n")
            .replace("weather,rain", "weather"),
            "utf-8",
        ),
    ],
    ids=[
        "semicolons",
        "tabs",
        "Excel",
        "spelling",
        "backslashes",
        "dot",
        "gaps",
        "sep",
        "named and a gap",
        "named in quotes",
        "empty line",
        "empty cells",
        "returns",
        "spaces",
        "more",
    ],
)
def test_tables_are_read_as_spreadsheets_write_them(folder, text, encoding):
    expected = _labels(_table(folder, LABELS))
    assert _labels(_table(folder, text, encoding)) == expected


def test_a_table_may_spell_a_name_in_another_unicode_form(tmp_path):
    decomposed, composed = "e\u0301.jpg", "\u00e9.jpg"
    folder = _touched(tmp_path, [decomposed, *FLAT])
    assert _labels(_table(folder, f"{LABELS}{composed},owl\n"))[decomposed] == "owl"


def test_a_line_does_not_label_two_files(tmp_path):
    for form in ("NFC", "NFD"):
        _touched(tmp_path, [unicodedata.normalize(form, "é.jpg")])
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes both for one name: two forms of one are not tried")
    _touched(tmp_path, ["2.jpg", "3.jpg", "4.jpg"])
    text = "file_name,label\né.jpg,owl\n2.jpg,owl\n3.jpg,jay\n4.jpg,jay\n"
    _refused(tmp_path, text, r"'e\\u0301\.jpg' and '\\xe9\.jpg' differ only in Unicode form; rename one")


def test_files_that_the_table_says_nothing_of_are_left_out_with_the_reason(folder):
    found = _table(_touched(folder, ["6.jpg"]), LABELS.replace("night/5.jpg,jay", "night/5.jpg,"))
    reasons = [
        LeftOut("6.jpg", "is not listed in metadata.csv"),
        LeftOut("night/5.jpg", "has no label in metadata.csv"),
    ]
    assert found.left_out == reasons
    assert len(found.files) == 4


def test_the_table_of_the_docs_is_read(tmp_path):
    [table] = readme.fenced("data.md", "csv")
    names = [line.partition(",")[0] for line in table.splitlines()[1:]]
    found = _table(_touched(tmp_path, [*names, "jay/IMG_0108.jpg"]), table)
    assert {file.path: file.group for file in found.files} == {
        "owl/IMG_0001.jpg": "nest 1",
        "owl/IMG_0002.jpg": "nest 1",
        "owl/IMG_0011.jpg": "nest 2",
        "jay/IMG_0107.jpg": "nest 2",
        "jay/IMG_0108.jpg": "",
    }


def test_groups_of_a_table_go_with_class_folders(classes):
    found = _table(classes, "file_name,group\njay/0.jpg,nest 1\njay/1.jpg,nest 1\nowl/2.jpg, nest 2 \n")
    assert {file.path: file.group for file in found.files if file.group} == {
        "jay/0.jpg": "nest 1",
        "jay/1.jpg": "nest 1",
        "owl/2.jpg": "nest 2",
    }
    assert len(found.files) == 6
    assert found.left_out == []


@pytest.mark.parametrize("labels", [True, False], ids=["labels in the table", "class folders"])
def test_parts_of_a_table(classes, labels):
    parts = ("train", "Testing", "valid")
    lines = [f"{label}/{n}.jpg,{label},{part}" for label in ("jay", "owl") for n, part in enumerate(parts)]
    text = "\n".join(["file_name,label,part", *lines])
    found = _table(classes, text if labels else text.replace("label,", "was,"))
    assert {file.path: file.part for file in found.files if file.label == "owl"} == {
        "owl/0.jpg": "train",
        "owl/1.jpg": "test",
        "owl/2.jpg": "val",
    }


def test_a_table_with_train_and_val_tests_on_val_and_says_so(classes):
    lines = [f"{label}/{n}.jpg,{'val' if n else 'train'}" for label in ("jay", "owl") for n in range(3)]
    found = _table(classes, "\n".join(["file_name,part", *lines]))
    assert {file.part for file in found.files} == {"train", "test"}
    assert found.tested == (
        "'val' is taken as the test part, as no part in metadata.csv is named test; it is opened once, after training"
    )


def test_groups_are_written_as_they_are_read_and_no_table_is_lost(classes):
    names = {"jay, nest 1": ["jay/1.jpg", "jay/0.jpg"], "owl/nest 2": ["owl/2.jpg"]}
    file = metadata.write_groups(classes, names)
    assert file.read_text(encoding="utf-8").splitlines() == [
        "file_name,group",
        'jay/0.jpg,"jay, nest 1"',
        'jay/1.jpg,"jay, nest 1"',
        "owl/2.jpg,owl/nest 2",
    ]
    assert {one.path: one.group for one in layout(classes).files if one.group} == {
        path: group for group, paths in names.items() for path in paths
    }
    with pytest.raises(InputError, match=r"metadata\.csv: is there already; add the column group to it by hand"):
        metadata.write_groups(classes, {"jay": ["jay/0.jpg"]})
    assert file.read_text(encoding="utf-8").count("nest") == 3


def test_groups_that_would_be_refused_are_not_written(classes):
    with pytest.raises(InputError, match="the groups 'Nest' and 'nest' differ only in case"):
        metadata.write_groups(classes, {"Nest": ["jay/0.jpg"], "nest": ["jay/1.jpg"]})
    assert not (classes / metadata.NAME).exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no column file_name, its columns are none; name .* file_name and add label"),
        ("id,species\n1.jpg,owl\n", r"no column file_name, its columns are 'id', 'species'; .* rename the table"),
        ("file_name,species\n1.jpg,owl\n", r"no column label, part or group, its columns are 'file_name', 'species'"),
        ("file_name,label,Label\n", r"two columns label; remove one$"),
        (LABELS + "9.jpg,owl\n", r"file_name: '9\.jpg' not among the photographs in .*; give .* such as '1"),
        (LABELS + "./1.jpg,owl\n", r"line 7: file_name '\./1\.jpg' is named twice; list each file once$"),
        (LABELS + ",owl\n", r"line 7: file_name '' is empty"),
        (LABELS + "6.jpg\n", r"line 7 has 1 cell, the header 2; mend the line$"),
        (LABELS.replace("owl", "a/b"), r"line 2: label 'a/b' cannot be the name of a folder; give it another name$"),
        (LABELS.replace("owl", ".."), r"line 2: label '\.\.' cannot be the name of a folder"),
        (LABELS.replace("owl", "jay"), r"metadata\.csv: number of different labels: 1; two or more are needed$"),
        (LABELS.replace("1.jpg,owl", "1.jpg,Jay"), r"the class names 'Jay' and 'jay' differ only in case"),
        (LABELS.replace("2.jpg,owl", "2.jpg,"), r"the class 'owl' has 1 image; 2 or more are needed; add .* metadata"),
        (LABELS + '"', r"line 7: unexpected end of data; mend the line, such as a quote that is not closed$"),
        (LABELS.replace("night", '"night'), r"line 6: unexpected end of data; mend the line, such as a quote"),
        ("file_name,label\n", r"has no line below the header; list the photographs, or remove the table$"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_a_line(folder, text, message):
    _refused(folder, text, rf"^{re.escape(str(folder))}.*{message}")


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("part\njay/0.jpg,later\n", r"line 2: part 'later' is not one of train, val, test; name one of these$"),
        ("group\njay/0.jpg,a\x07b\n", r"line 2: group 'a\\x07b' has control characters; give it another name$"),
        (
            "group\njay/0.jpg,Nest\njay/1.jpg,nest\n",
            r"the groups 'Nest' and 'nest' differ only in case; spell both alike$",
        ),
        ("part\njay/0.jpg,NA\n", r"the column part is empty; fill it in, or remove it$"),
        (
            "group\njay/0.jpg,x\njay/1.jpg,x\njay/2.jpg,x\n",
            r"all images of the class 'jay' are of the group 'x', which cannot be divided; name two groups in metadata",
        ),
        ("part\njay/0.jpg,test\n", r"the part train lacks the class 'jay', 'owl'; every class needs images in train"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_a_line(classes, column, message):
    _refused(classes, f"file_name,{column}", message)


def test_parts_are_in_folders_or_in_the_table(tmp_path):
    names = [f"{part}/{label}/1.jpg" for part in ("train", "test") for label in ("jay", "owl")]
    folder = _touched(tmp_path, names)
    lines = "\n".join(f"{name},{name.partition('/')[0]}" for name in names)
    _refused(
        folder, f"file_name,part\n{lines}", r"has a column part, and the folders are parts too; remove the column$"
    )


def test_labels_of_a_table_do_not_pass_over_parts_that_are_folders(tmp_path):
    names = [f"{part}/{label}/1.jpg" for part in ("train", "test") for label in ("jay", "owl")]
    folder = _touched(tmp_path, names)
    lines = "\n".join(f"{name},{name.split('/')[1]}" for name in names)
    _refused(folder, f"file_name,label\n{lines}", r"has labels and no column part, and the folders 'test', 'train' are")


def test_the_name_of_the_table_may_have_capital_letters(folder):
    (folder / "Metadata.CSV").write_text(LABELS)
    assert len(layout(folder).files) == 5


def test_missing_values_of_r_are_no_group(classes):
    found = _table(classes, "file_name,group\njay/0.jpg,NA\njay/1.jpg,NA\nowl/0.jpg,nest\n")
    assert {file.group for file in found.files} == {"", "nest"}


@pytest.mark.parametrize("text", ["#N/A", "N/A", "n/a", "<NA>", "None", "NULL", "null", "NA", "nan"])
def test_texts_that_stand_for_an_empty_cell_are_no_group_and_are_counted(classes, text):
    found = _table(classes, f"file_name,group\njay/0.jpg,{text}\njay/1.jpg, {text}\nowl/0.jpg,nest\n")
    assert {file.path: file.group for file in found.files if file.group} == {"owl/0.jpg": "nest"}
    assert found.notes == (
        f"2 cells of the column group in metadata.csv taken as empty: '{text}'; "
        "give a group another name if it is called that",
    )


def test_a_class_that_is_called_na_is_left_out_with_the_reason_and_counted(folder):
    _touched(folder, ["6.jpg", "7.jpg"])
    found = _table(folder, LABELS.replace("owl", "NA") + "6.jpg,tit\n7.jpg,tit\n")
    assert set(_labels(found).values()) == {"jay", "tit"}
    reason = "its label 'NA' counts as empty; if that is a class, name it otherwise in metadata.csv"
    assert found.left_out == [LeftOut("1.jpg", reason), LeftOut("2.jpg", reason)]
    cells = "2 cells of the column label in metadata.csv taken as empty: 'NA'; if that is a class, name it otherwise"
    assert cells in found.notes


def test_of_two_classes_one_that_is_called_na_is_named_in_the_refusal(folder):
    _refused(
        folder, LABELS.replace("owl", "NA"), r"2 cells of the column label in metadata\.csv taken as empty: 'NA'; "
    )


def test_a_part_that_stands_for_an_empty_cell_is_named(classes):
    lines = [
        f"{label}/{image}.jpg,{part}\n" for label in ("jay", "owl") for image, part in enumerate(("train", "test"))
    ]
    found = _table(classes, f"file_name,part\n{''.join(lines)}jay/2.jpg,NaN\n")
    reasons = dict(found.left_out)
    assert reasons["jay/2.jpg"] == "its part 'NaN' counts as empty; name one of train, val, test in metadata.csv"
    assert any(
        note.startswith("1 cell of the column part in metadata.csv taken as empty: 'NaN'; ") for note in found.notes
    )


def test_a_class_may_be_called_none(folder):
    found = _table(folder, LABELS.replace("owl", "None"))
    assert set(_labels(found).values()) == {"None", "jay"}


def test_a_table_that_is_not_utf_8_is_refused(folder):
    (folder / metadata.NAME).write_bytes(LABELS.encode() + b"\xff.jpg,owl\n")
    with pytest.raises(InputError, match=r"metadata\.csv: not UTF-8; save it as 'CSV UTF-8'$"):
        layout(folder)
