# SPDX-License-Identifier: Apache-2.0
import random

import pytest

from mixer_tf.datasets import files
from mixer_tf.datasets.sources import csv, csv_tables, opening
from mixer_tf.datasets.sources.source import Source


@pytest.fixture
def open_csv(tmp_path, image_folder):
    """Opens a CSV file with this text in a folder with 40 images."""

    def open_text(text: str, encoding: str = "utf-8") -> Source:
        (tmp_path / "list.csv").write_text(text, encoding=encoding)
        for name in ("cat", "dog"):
            if not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(image_folder / name)
        return opening.open_source(f"csv:{tmp_path / 'list.csv'}")

    return open_text


ROWS = "\n".join(f"{name}/{i:03d}.png,{name}" for name in ("cat", "dog") for i in range(20))


def read(source: Source) -> dict[str, list]:
    return {
        split: [record for shard in source.shards_of(split) for record in source.read(shard)]
        for split in source.splits
    }


@pytest.mark.parametrize("header", ["", "path,label\n", "Filename,CLASS\n"])
def test_paths_and_labels_with_and_without_header(open_csv, header):
    source = open_csv(header + ROWS)
    assert source.class_names == ("cat", "dog")
    records = [record for found in read(source).values() for record in found]
    assert len(records) == 40
    assert not any(record.problem for record in records)
    assert all(record.class_name in record.source for record in records)


def test_the_header_gives_the_order_of_the_columns(open_csv):
    rows = [",".join(reversed(row.split(","))) for row in ROWS.splitlines()]
    source = open_csv("\n".join(["label,remark,path", *(r.replace(",", ",x,") for r in rows)]))
    assert source.class_names == ("cat", "dog")


def test_the_third_column_is_the_split(open_csv):
    names = ["train"] * 10 + ["val"] * 4 + ["TEST"] * 6
    rows = [f"cat/{i:03d}.png,cat,{split}" for i, split in enumerate(names)]
    counts = {split: len(found) for split, found in read(open_csv("\n".join(rows))).items()}
    assert counts == {"train": 10, "eval": 4, "test": 6}


def test_byte_order_mark_quotes_and_blank_lines_are_accepted(open_csv, image_folder):
    text = f'"{image_folder}/cat/000.png","a ""fine"", cat"\n\n{ROWS}\n'
    assert open_csv(text, encoding="utf-8-sig").class_names == ('a "fine", cat', "cat", "dog")


def test_two_unicode_forms_of_a_label_are_one_class(open_csv):
    rows = ROWS.replace(",cat", ",mu\u0308sli").replace("000.png,mu\u0308sli", "000.png,m\u00fcsli")
    source = open_csv(rows)
    assert source.class_names == ("dog", "m\u00fcsli")
    assert source.notes == (
        "class names in several Unicode forms were read as one class: 1 ('m\u00fcsli')",
    )
    assert open_csv(ROWS.replace(",cat", ",mu\u0308sli")).notes == ()


def test_a_file_that_is_listed_again_is_read_once(open_csv):
    source = open_csv(ROWS + "\n./cat/000.png,cat\ncat/000.png,cat\ndog/001.png,\n")
    assert source.notes == ("rows that list a file again are ignored: 3, such as 'cat/000.png'",)
    assert len(sum(read(source).values(), [])) == 40


def test_a_file_with_two_labels_is_not_used(open_csv):
    source = open_csv(ROWS + "\ncat/003.png,dog\ncat//004.png,cow\ndog/001.png,cow,\n"[:-2])
    assert source.notes == (
        "files with several labels are not used: 3, such as 'cat/003.png': 'cat', 'dog'",
    )
    records = sum(read(source).values(), [])
    assert len(records) == 40
    problems = [r for r in records if r.problem == "listed with several labels"]
    found = {"/".join(record.source.split("/")[-2:]) for record in problems}
    assert found == {"cat/003.png", "cat/004.png", "dog/001.png"}
    assert all(record.class_name for record in records)


def test_a_file_in_two_splits_stays_in_test(open_csv):
    rows = [f"{row},train" for row in ROWS.splitlines()]
    source = open_csv("\n".join([*rows, "cat/000.png,cat,val", "dog/000.png,dog,test"]))
    assert source.notes == (
        "files in several splits are used in one, test or else eval: 2, such as 'cat/000.png' in "
        "eval and train",
    )
    assert {split: len(found) for split, found in read(source).items()} == {
        "train": 38,
        "eval": 1,
        "test": 1,
    }


def test_a_list_with_several_labels_for_most_files_is_an_error(open_csv):
    text = ROWS + "\n" + ROWS.replace(",cat", ",grey").replace(",dog", ",brown")
    with pytest.raises(ValueError, match="of 40 files, 40 have several, such as 'cat/000.png': "):
        open_csv(text)


def test_integer_labels_are_sorted_as_integers(open_csv):
    rows = [f"cat/{i:03d}.png,{i}" for i in range(12)]
    assert open_csv("\n".join(rows)).class_names == tuple(map(str, range(12)))


def test_a_missing_file_is_a_record_with_a_problem(bad_folder, bad_csv):
    source = opening.open_source(f"csv:{bad_csv}")
    records = [record for found in read(source).values() for record in found]
    assert len(records) == len(bad_folder.good) + len(bad_folder.bad) + 1
    missing = [record for record in records if record.problem == "file not found"]
    assert [record.source for record in missing] == [str(bad_folder.path / "cat/not there.jpg")]
    assert missing[0].class_name == "cat"


def test_a_class_may_have_the_name_of_a_column(open_csv, tmp_path):
    (tmp_path / "a.png").touch()
    assert open_csv("a.png,label\nb.png,image\nc.png,image\n").class_names == ("image", "label")


def test_remote_paths_are_not_changed(open_csv, monkeypatch):
    read_paths = []
    monkeypatch.setattr(files, "read_bytes", lambda path: read_paths.append(path) or b"")
    source = open_csv("gs://bucket/x.jpg,cat\ny.jpg,dog\nz.jpg,dog\n")
    for split in source.splits:
        for shard in source.shards_of(split):
            list(source.read(shard))
    assert {path.partition("://")[0] for path in read_paths if path.endswith("x.jpg")} == {"gs"}
    assert "gs://bucket/x.jpg" in read_paths


def test_rows_without_a_label_are_kept(open_csv):
    source = open_csv(
        ROWS.replace("cat/000.png,cat", "cat/000.png,").replace("001.png,cat", "001.png")
    )
    assert source.notes == ("rows without a label: 2",)
    labels = [record.label for found in read(source).values() for record in found]
    assert labels.count(None) == 2


def test_the_fingerprint_changes_with_the_list_and_the_images(
    open_csv, tmp_path, make_pixels, encode
):
    (tmp_path / "new.png").write_bytes(encode(make_pixels(0), "PNG"))
    first = open_csv(ROWS + "\nnew.png,cat").fingerprint()
    second = open_csv(ROWS + "\nnew.png,dog").fingerprint()
    (tmp_path / "new.png").unlink()
    third = open_csv(ROWS + "\nnew.png,dog").fingerprint()
    assert len({first, second, third}) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("path,label\n", "found no label"),
        ("a.png\nb.png\n", "must have the columns path,label; got \\['a.png'\\]"),
        ("photo,label\n", r"a header must name .*; got \['photo', 'label'\]. Names such"),
        ("photo,label\na,cat\n", r"a header must name .*; got \['photo', 'label'\]. Names such"),
        ("a,b,c\ncat/000.png,1,2\n", r"of which 'a' holds the paths. Names .* --columns=1,2"),
        ("a,b,label\ncat/000.png,cat/001.png,2\n", "'a' and 'b' do. Name it 'path'"),
        ("cat/0,0.png,cat\n" * 2 + "cat/000.png,cat", "row 1 of .* has 'cat'"),
        ("cat/000.png,cat\ncat/0,01.png,cat", "row 2 of .* has 3, the first has 2. Put a cell"),
        ("a\0.png,cat", "line 1 of .* contains a NUL byte"),
        ('cat/000.png,"cat\n' + ROWS, "quotes must enclose a whole cell"),
        ('cat/000.png,"cat\ncat/001.png,"cat\n', "quotes must enclose a whole cell"),
        ('cat/000.png,"cat\ncat/001.png",cat\n', "line break inside quotes|has 3, the first"),
        ("cat/000,cat\ndog/000,dog", "lists '000', and the file is '000.png'"),
        ("cat,cat/000.png\ndog,dog/000.png", "the columns must be path,label; column 2 holds"),
        ("1,cat/000.png,cat\n2,dog/000.png,dog", "the columns must be path,label; column 2 holds"),
        ("what,\n" + ROWS, r"must name the columns of path and label; got \['what', ''\]"),
        ("id_code,diagnosis\ncat/000,1\ndog/000,0", "lists '000', and the file is '000.png'"),
        (",cat\n", "row 1 of .* does not"),
        ("a.png,cat,holiday\n", "row 1 of .* has 'holiday'"),
    ],
)
def test_an_invalid_list_is_an_error(open_csv, text, message):
    with pytest.raises(ValueError, match=message):
        open_csv(text)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_the_byte_order_mark_gives_the_encoding(open_csv, encoding):
    assert open_csv(ROWS.replace(",cat", ",猫"), encoding).class_names == ("dog", "猫")


def test_utf16_without_a_byte_order_mark_is_named(open_csv):
    with pytest.raises(ValueError, match="NUL byte, as UTF-16 without a byte order mark has"):
        open_csv(ROWS, "utf-16-le")


def test_file_addresses_are_paths(open_csv, tmp_path, image_folder):
    (tmp_path / "a b.png").symlink_to(image_folder / "cat/000.png")
    rows = ROWS.replace("cat/00", f"file://{tmp_path}/cat/00").splitlines()
    rows += [f"file://localhost{tmp_path}/a%20b.png,cat"]
    source = open_csv("\n".join(rows))
    assert source.notes == ("paths that begin with file: are read as paths of this machine: 11",)
    assert not any(record.problem for record in sum(read(source).values(), []))


def test_the_home_folder_may_be_a_tilde(open_csv, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    source = open_csv(ROWS.replace("dog/", "~/dog/"))
    assert source.notes == ()
    assert not any(record.problem for record in sum(read(source).values(), []))


def test_an_address_of_the_web_is_a_problem(open_csv):
    source = open_csv(ROWS + "\nhttps://me:secret@x.org/1.png,cat\n")
    records = sum(read(source).values(), [])
    assert [(r.source, r.problem) for r in records if r.problem] == [
        ("https://x.org/1.png", "an address of the web; download the image and list its file")
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no/{}.png", "none of the first 9 does, such as 'no/0.png', which would be /.*/no/0.png"),
        ("C:\\cat\\{}.png", "It is a path of Windows"),
        ("\\\\server\\cat\\{}.png", "It is a path of Windows"),
        ("inside/{}.png", "It exists in the current folder"),
        ("http://me:secret@x.org/{}.png", "addresses of the web, such as http://x.org/0.png"),
    ],
)
def test_paths_that_are_all_wrong_are_an_error(open_csv, path, message, tmp_path, monkeypatch):
    (tmp_path / "cwd/inside").mkdir(parents=True)
    (tmp_path / "cwd/inside/0.png").touch()
    monkeypatch.chdir(tmp_path / "cwd")
    with pytest.raises(ValueError, match=message):
        open_csv("".join(f"{path.format(number)},cat\n" for number in range(9)))


def test_an_enormous_cell_is_an_error(open_csv):
    with pytest.raises(ValueError, match="a cell must have at most 131,072 characters"):
        open_csv(ROWS + "\n" + "x" * 10_000_000)


def test_an_encoding_other_than_utf8_is_an_error(open_csv):
    with pytest.raises(ValueError, match="must be UTF-8"):
        open_csv("été.png,été", encoding="latin-1")


def test_a_missing_list_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="must be followed by an existing file"):
        opening.open_source(f"csv:{tmp_path}/none.csv")


@pytest.mark.parametrize(
    "header",
    [
        "File Name,Class Label",
        "image_id,CATEGORY",
        " imagePath , class-name ",
        "IMG,Target",
    ],
)
def test_usual_names_are_known_in_any_spelling(open_csv, header):
    source = open_csv(f"{header}\n{ROWS}")
    assert source.class_names == ("cat", "dog")
    assert source.notes == ()
    assert len(sum(read(source).values(), [])) == 40


@pytest.mark.parametrize(
    ("header", "row", "columns"),
    [
        ("id_code,diagnosis", "{path},{label}", "path = 'id_code', label = 'diagnosis'"),
        ("diagnosis,id_code", "{label},{path}", "path = 'id_code', label = 'diagnosis'"),
        ("photo,label", "{path},{label}", "path = 'photo', label = 'label'"),
        ("n,photo,label", "1,{path},{label}", "path = 'photo', label = 'label'"),
        ("id,photo,label", "1,{path},{label}", "path = 'photo', label = 'label'"),
        ("path,what", "{path},{label}", "path = 'path', label = 'what'"),
        (
            "photo,what,set",
            "{path},{label},train",
            "path = 'photo', label = 'what', split = 'set'",
        ),
    ],
)
def test_an_unknown_header_is_found_by_the_data(open_csv, header, row, columns):
    rows = [row.format(path=line.split(",")[0], label=line.split(",")[1]) for line in ROWS.split()]
    source = open_csv("\n".join([header, *rows]))
    assert source.class_names == ("cat", "dog")
    assert source.notes[0] == f"the first row is read as a header, by the data: {columns}"
    records = sum(read(source).values(), [])
    assert len(records) == 40
    assert all(record.class_name in record.source and not record.problem for record in records)


@pytest.mark.parametrize(
    "header",
    [
        "filename,label",
        "file_name,class",
        "image_path,category",
        "Image Path,Class Name",
        "img,target",
        "Image,Species",
        "image_id,diagnosis",
        "filepaths,labels",
        ",filename,label_name",
    ],
)
def test_the_headers_of_public_data_sets_are_known(open_csv, header):
    rows = ROWS.splitlines()
    if header.startswith(","):
        rows = [f"{number},{row}" for number, row in enumerate(rows)]
    source = open_csv("\n".join([header, *rows]))
    assert (source.class_names, source.notes) == (("cat", "dog"), ())


def test_the_header_of_a_public_data_set_with_splits_is_known(open_csv):
    header = "class id,filepaths,labels,data set,scientific name"
    rows = [f"{i % 2},{row},train,Felis" for i, row in enumerate(ROWS.splitlines())]
    source = open_csv("\n".join([header, *rows]))
    assert source.class_names == ("cat", "dog")
    assert source.notes == (
        "columns used: path = 'filepaths', label = 'labels', split = 'data set'; "
        "not used: 'class id'",
    )


def open_stated(path, columns: str) -> Source:
    return opening.open_source(csv.with_columns(f"csv:{path}", columns))


@pytest.mark.parametrize("columns", ["photo,age", "3, 1", "PHOTO,1", "photo,age,when", "3,1,5"])
def test_columns_may_be_stated_by_name_or_number(tmp_path, open_csv, columns):
    rows = [
        f"{number % 3},{path}.bak,{path},{label},{'test' if number < 9 else 'train'}"
        for number, (path, label) in enumerate(row.split(",") for row in ROWS.splitlines())
    ]
    text = "\n".join(["age,path,photo,label,when", *rows])
    assert open_csv(text).class_names == ("cat", "dog")
    source = open_stated(tmp_path / "list.csv", columns)
    assert source.class_names == ("0", "1", "2")
    found = read(source)
    assert not any(record.problem for record in sum(found.values(), []))
    assert (len(found["test"]) == 9) == (columns.count(",") == 2)


@pytest.mark.parametrize("header", ["n,what,photo", "cat/019.png,what,photo"])
def test_numbers_of_columns_leave_a_header_to_the_data(tmp_path, open_csv, header):
    """Without --columns, "cat/019.png" in the first row would be the only path of its column."""
    rows = [",".join(["1", *reversed(row.split(","))]) for row in ROWS.splitlines()]
    open_csv("\n".join(["path,label", *ROWS.splitlines()]))
    for first in ([header], []):
        (tmp_path / "list.csv").write_text("\n".join([*first, *rows]))
        source = open_stated(tmp_path / "list.csv", "3,2")
        assert source.class_names == ("cat", "dog")
        assert len(sum(read(source).values(), [])) == 40


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ("{number},{path},{label}", "2,3"),  # The first rows contain the numbers of the columns.
        ("{path},{number},{label}", "1,3"),
        ("{path},{label},{number}", "1,2"),
    ],
)
@pytest.mark.parametrize("first", [1, 2, 3])
def test_numbers_of_columns_are_not_looked_up_as_cells(open_csv, tmp_path, row, columns, first):
    open_csv(ROWS)
    cells = [dict(zip(("path", "label"), line.split(","), strict=True)) for line in ROWS.split()]
    rows = [row.format(number=first + i, **found) for i, found in enumerate(cells)]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    source = open_stated(tmp_path / "list.csv", columns)
    assert source.class_names == ("cat", "dog")
    assert len(sum(read(source).values(), [])) == 40


def test_a_name_of_digits_that_is_not_a_number_of_a_column_is_a_name(open_csv, tmp_path):
    open_csv("\n".join(["photo,2026", *ROWS.splitlines()]))
    assert open_stated(tmp_path / "list.csv", "photo,2026").class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("photo", "must be those of path, label and perhaps split"),
        ("photo,label,photo", "must be those of path, label and perhaps split"),
        ("photo,label,n,what", "must be those of path, label and perhaps split"),
        ("photo,phot", r"a number from 1 to 4; got 'phot'\. The first row is \['n', 'photo'"),
        ("0,1", "a number from 1 to 4; got '0'"),
        ("5,1", "a number from 1 to 4; got '5'"),
        ("photo,", "a number from 1 to 4; got ''"),
        ("", "names or numbers without a colon"),
        ("a:b,c", "names or numbers without a colon; got 'a:b,c'. Use numbers"),
    ],
)
def test_columns_that_do_not_exist_are_an_error(tmp_path, columns, message):
    (tmp_path / "list.csv").write_text("n,photo,label,what\n1,cat.png,cat,x\n")
    with pytest.raises(ValueError, match=message):
        open_stated(tmp_path / "list.csv", columns)


def test_only_a_csv_has_columns():
    with pytest.raises(ValueError, match="--columns applies to csv:PATH only; got the source 'fol"):
        csv.with_columns("folder:pets", "1,2")


def test_a_missing_first_file_whose_label_occurs_again_is_not_a_header(open_csv):
    source = open_csv("lost,cat\n" + ROWS)
    assert source.class_names == ("cat", "dog")
    problems = [r.problem for r in sum(read(source).values(), []) if r.problem]
    assert problems == ["file not found"]


def test_the_column_whose_files_exist_is_used_and_the_other_named(open_csv):
    rows = [f"{i},{row},7" for i, row in enumerate(ROWS.splitlines())]
    source = open_csv("\n".join(["id,filename,label,class_id", *rows]))
    assert source.class_names == ("cat", "dog")
    assert source.notes == (
        "columns used: path = 'filename', label = 'label'; not used: 'id', 'class_id'",
    )


@pytest.mark.parametrize(
    ("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
@pytest.mark.parametrize("header", ["", "path,label\n"])
def test_other_delimiters_are_found(open_csv, delimiter, name, header):
    source = open_csv((header + ROWS).replace(",", delimiter))
    assert source.class_names == ("cat", "dog")
    assert source.notes == (f"columns are separated by {name}",)


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_the_first_line_may_state_the_delimiter(open_csv, line_break):
    rows = ROWS.replace(",", "^").splitlines()
    source = open_csv(line_break.join(["sep=^", "path^label", *rows]))
    assert source.class_names == ("cat", "dog")
    assert source.notes == ("columns are separated by '^'",)


def test_the_files_decide_between_two_possible_delimiters(open_csv, tmp_path, image_folder):
    for number in range(4):
        (tmp_path / f"{number},b.png").symlink_to(image_folder / "cat/000.png")
    commas = [f"{number},b.png;cat" for number in range(4)]
    semicolons = [f"cat/00{number}.png,a;b" for number in range(4)]
    assert open_csv("\n".join(commas)).class_names == ("cat",)
    assert open_csv("\n".join(semicolons)).class_names == ("a;b",)


def test_backslashes_separate_folders_unless_a_name_has_them(open_csv, tmp_path, image_folder):
    (tmp_path / "a\\b.png").symlink_to(image_folder / "cat/000.png")
    source = open_csv(ROWS.replace("/", "\\") + "\na\\b.png,cat")
    assert source.notes == ("paths whose backslashes are read as slashes: 40",)
    assert not any(record.problem for record in sum(read(source).values(), []))


def test_integral_labels_with_decimals_are_integers(open_csv):
    source = open_csv(ROWS.replace(",cat", ",1.0").replace(",dog", ",0"))
    assert source.class_names == ("0", "1")
    assert source.notes == ("labels such as 1.0 that are read as 1: 20",)
    assert open_csv(ROWS.replace(",cat", ",1.5").replace(",dog", ",1.0")).notes == ()


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/"])
def test_what_is_not_a_regular_file_is_an_error_at_once(path):
    with pytest.raises(ValueError, match="must be followed by a regular file"):
        opening.open_source(f"csv:{path}")


def test_a_list_that_is_too_large_is_an_error(open_csv, monkeypatch):
    monkeypatch.setattr(csv_tables, "MAX_BYTES", 5)
    with pytest.raises(ValueError, match="must have at most"):
        open_csv(ROWS)


def mutated(text: str, seed: int) -> str:
    """The text with a few characters removed, or replaced by those that mean something in a CSV."""
    rng = random.Random(seed)
    for _ in range(rng.choice([1, 2, 5, 20])):
        start = rng.randrange(len(text) + 1)
        inserted = rng.choice(['"', ";", "\t", "|", ",", "\0", "\n", "\r", "\\", "//", "://", "*"])
        text = text[:start] + inserted + text[start + rng.choice([0, 1, 9]) :]
    return text


def test_a_damaged_list_is_read_or_refused_with_a_message_of_ours(open_csv):
    refused = []
    for seed in range(100):
        try:
            source = open_csv(mutated("path,label\n" + ROWS, seed))
        except ValueError as error:
            refused.append(error)
        else:
            assert all(
                record.problem or record.encoded for record in sum(read(source).values(), [])
            )
    assert 5 < len(refused) < 95
    assert [error for error in refused if not str(error).startswith(("csv: ", "at least "))] == []
