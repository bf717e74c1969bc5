from __future__ import annotations

import gzip

import pytest

from hydrasurr.errors import ConfigError
from preprocessing.card import Card
from preprocessing.rows import read_chunks


def _card(*files, **keys):
    keys = {"targets": ({"name": "gap"},), **keys}
    return Card(name="t", files=tuple(map(str, files)), **keys)


def _rows(card, size=100, limit=None):
    """(row, smiles, cells) of all rows, and row -> problem."""
    rows, problems = [], {}
    for chunk in read_chunks(card, size, limit):
        for k, (smiles, cells) in enumerate(zip(chunk.smiles, chunk.cells, strict=True)):
            if k in chunk.problems:
                problems[chunk.first_row + k] = chunk.problems[k]
            else:
                rows.append((chunk.first_row + k, smiles, cells))
    return rows, problems


EXPECTED = [(1, "CCO", ("0.5",)), (2, "c1ccccc1", ("-1e-3",)), (3, "C[C@H](N)O", ("",))]
CSV = 'gap,name,smiles\n0.5,"ethanol, pure",CCO\n-1e-3,"say ""benzene""",c1ccccc1\n,x,C[C@H](N)O\n'
TSV = "smiles\tgap\nCCO\t0.5\nc1ccccc1\t-1e-3\nC[C@H](N)O\t\n"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("plain.csv", CSV.encode()),
        ("bom.csv", b"\xef\xbb\xbf" + CSV.replace("gap,name,smiles", "smiles,name,gap").encode()),
        ("windows.csv", CSV.replace("\n", "\r\n").encode()),
        ("packed.csv.gz", gzip.compress(CSV.encode())),
        ("tabs.tsv", TSV.encode()),
        ("packed.tsv.gz", gzip.compress(TSV.encode())),
        ("blanks in header.csv", CSV.replace("gap,name,smiles", " gap ,name, smiles").encode()),
    ],
)
def test_all_kinds_of_tables_read_the_same(tmp_path, name, data):
    if name == "bom.csv":  # the mark must not become a part of the first column's name
        lines = [line.split(",") for line in ["smiles,gap", "CCO,0.5", "c1ccccc1,-1e-3", "C[C@H](N)O,"]]
        data = b"\xef\xbb\xbf" + "\n".join(map(",".join, lines)).encode()
    (tmp_path / name).write_bytes(data)
    assert _rows(_card(tmp_path / name)) == (EXPECTED, {})


def test_smi_files_have_no_header(tmp_path):
    (tmp_path / "a.smi").write_text("CCO ethanol\nc1ccccc1\tbenzene ring\n\n  C[C@H](N)O  \n")
    rows, problems = _rows(_card(tmp_path / "a.smi", targets=()))
    assert rows == [(1, "CCO", ()), (2, "c1ccccc1", ()), (4, "C[C@H](N)O", ())]
    assert problems == {3: "empty row"}


def test_chunks_are_full_and_rows_are_counted_over_all_files(tmp_path):
    for name, rows in (("a.csv", range(5)), ("b.csv", range(5, 12))):
        (tmp_path / name).write_text("smiles,gap\n" + "".join(f"{'C' * (k + 1)},{k}\n" for k in rows))
    card = _card(tmp_path / "a.csv", tmp_path / "b.csv")
    chunks = list(read_chunks(card, 4))
    assert [(c.index, c.first_row, c.last_row, len(c)) for c in chunks] == [
        (0, 1, 4, 4),
        (1, 5, 8, 4),
        (2, 9, 12, 4),
    ]
    assert [int(cells[0]) for c in chunks for cells in c.cells] == list(range(12))
    assert [len(c) for c in read_chunks(card, 4, limit=6)] == [4, 2]


def test_a_missing_column_names_the_nearest_and_all(tmp_path):
    (tmp_path / "a.csv").write_text("idx,smile,homolumogap\n0,C,1\n")
    with pytest.raises(ConfigError, match=r"a\.csv' has no column 'smiles'; did you mean 'smile'\?.*homolumogap"):
        _rows(_card(tmp_path / "a.csv"))
    (tmp_path / "a.csv").write_text("smiles,gap,gap\nC,1,2\n")
    with pytest.raises(ConfigError, match="2 columns called 'gap'"):
        _rows(_card(tmp_path / "a.csv"))


def test_broken_rows_are_reported_and_the_others_read(tmp_path):
    (tmp_path / "a.csv").write_text('smiles,gap\nCCO,0.5\n\nCC\nC,1,extra\n"CC"C,2\nCCC,3\n')
    rows, problems = _rows(_card(tmp_path / "a.csv"))
    assert [row for row, *_ in rows] == [1, 4, 6]
    assert problems[2] == "empty row"
    assert problems[3] == "1 cells, the header has 2"
    assert problems[5].startswith("malformed row, lines 6 to 6")


def test_an_open_quote_is_not_swallowed_in_silence(tmp_path):
    (tmp_path / "a.csv").write_text('smiles,gap\nCCO,0.5\n"CC,1\nCCC,2\n')
    rows, problems = _rows(_card(tmp_path / "a.csv"))
    assert [row for row, *_ in rows] == [1]
    assert "lines 3 to 4" in problems[2] and "quote left open" in problems[2]


def test_bytes_that_are_not_utf8_spoil_their_cell_only(tmp_path):
    (tmp_path / "a.csv").write_bytes("smiles,name,gap\nCCO,Äthanol,0.5\n".encode("latin-1"))
    assert _rows(_card(tmp_path / "a.csv"))[0] == [(1, "CCO", ("0.5",))]


def test_damaged_and_empty_files_are_named(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode() * 1000)[:-200])
    with pytest.raises(ConfigError, match=r"cannot read '.*a\.csv\.gz'"):
        _rows(_card(tmp_path / "a.csv.gz"))
    (tmp_path / "b.csv.gz").write_text(CSV)
    with pytest.raises(ConfigError, match=r"cannot read '.*b\.csv\.gz'"):
        _rows(_card(tmp_path / "b.csv.gz"))
    (tmp_path / "c.csv").write_text("")
    with pytest.raises(ConfigError, match=r"c\.csv' is empty"):
        _rows(_card(tmp_path / "c.csv"))
