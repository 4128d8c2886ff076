from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loganalyze.errors import NothingReadable
from loganalyze.ingest import load, load_all, notebook


def shown(rows: list[list[object]], label: str = "") -> str:
    """Return a progress bar and a table as the Trainer shows them."""
    head, *body = [
        "".join(f"<{kind}>{cell}</{kind}>\n" for cell in row)
        for kind, row in zip(["th", *["td"] * (len(rows) - 1)], rows, strict=True)
    ]
    lines = "".join(f"<tr>\n{line}</tr>\n" for line in body)
    return (
        f"\n<div>\n<progress value='100' max='100'></progress>\n{label}\n</div>\n"
        f'<table border="1" class="dataframe">\n<thead>\n<tr style="text-align: left;">\n{head}</tr>\n'
        f"</thead>\n<tbody>\n{lines}</tbody>\n</table><p>"
    )


def save(path: Path, *pages: str) -> Path:
    outputs = [
        {"output_type": "display_data", "data": {"text/html": page.splitlines(keepends=True)}}
        for page in pages
    ]
    cells = [{"cell_type": "markdown", "source": []}, {"cell_type": "code", "outputs": outputs}]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    return path


LABEL = "[100/100 05:34, Epoch 2/2]"
LOSSES: list[list[object]] = [["Step", "Training Loss"], [50, "2.500000"], [100, "1.250000"]]


def test_the_table_below_the_progress_bar_is_the_run(tmp_path: Path) -> None:
    path = save(tmp_path / "train.ipynb", shown(LOSSES, LABEL), "<p>a figure</p>")
    run = load(path)
    series = run.series("train/loss")
    assert series.step.tolist() == [50, 100]
    assert series.value.tolist() == [2.5, 1.25]
    assert (run.framework, run.planned_steps, run.planned_epochs) == ("hf-trainer", 100, 2.0)
    assert str(series.where(1)) == "train.ipynb:2"


def test_beside_a_validation_loss_the_other_numbers_are_of_the_evaluation(tmp_path: Path) -> None:
    rows: list[list[object]] = [
        ["Epoch", "Training Loss", "Validation Loss", "Accuracy", "F1"],
        [1, "No log", "2.500000", "0.500000", "0.4"],
        [2, "1.250000", "2.000000", "0.750000", "0.5"],
    ]
    run = load(save(tmp_path / "train.ipynb", shown(rows, LABEL)))
    assert run.series("train/loss").step.tolist() == [2]
    assert run.series("eval/loss").value.tolist() == [2.5, 2.0]
    assert run.series("eval/accuracy").value.tolist() == [0.5, 0.75]
    assert run.series("eval/f1").value.tolist() == [0.4, 0.5]
    assert not run.has("train/accuracy")
    assert (run.planned_steps, run.planned_epochs) == (None, 2.0)  # 100 steps are not 100 epochs


def test_each_table_is_a_run(tmp_path: Path) -> None:
    assert len(load_all(save(tmp_path / "a.ipynb", shown(LOSSES), shown(LOSSES)))) == 2


def test_a_notebook_beside_a_log_is_named_and_not_mixed_in(tmp_path: Path) -> None:
    save(tmp_path / "old.ipynb", shown(LOSSES))
    save(tmp_path / "figures.ipynb", "<table><tr><th>id</th></tr><tr><td>1</td></tr></table>")
    with pytest.raises(NothingReadable, match="point at it alone"):
        load(tmp_path)
    (tmp_path / "train.log").write_text("step: 1 loss: 3.5\nstep: 2 loss: 3.0\n")
    (run,) = load_all(tmp_path)
    assert run.series("train/loss").value.tolist() == [3.5, 3.0]
    assert "old.ipynb" in {source.path for source in run.sources}
    assert "figures.ipynb" not in {source.path for source in run.sources}


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    path.write_text('{"cells": [')
    assert notebook.claims(path, b'{"cells": [')
    with pytest.raises(ValueError, match="no notebook"):
        notebook.read(path, path)


def test_a_page_that_the_parser_gives_up_on_keeps_what_stood_before(tmp_path: Path) -> None:
    run = load(save(tmp_path / "a.ipynb", shown(LOSSES) + "<![no such section["))
    assert run.series("train/loss").step.tolist() == [50, 100]


JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["cells", "outputs", "data", "text/html"]), inner)
    ),
)


@given(value=JSON, page=st.text())
def test_a_notebook_of_any_shape_is_read(
    tmp_path_factory: pytest.TempPathFactory, value: object, page: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.ipynb"
    path.write_text(json.dumps({"cells": value}))
    notebook.read(path, path)
    save(path, "<table>" + page, shown([["Step", "Training Loss"], [page, "1"]]))
    notebook.read(path, path)
