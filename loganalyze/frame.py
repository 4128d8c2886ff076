"""The one tidy frame of a run's numbers: its columns, and how frames are built and put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

METRIC_COLUMNS = (
    "metric",  # category: canonical name
    "step",  # int64: optimizer step, or -1 where the log gives none
    "epoch",  # float64: NaN where unknown
    "time",  # float64: UNIX seconds, UTC; NaN where unknown
    "value",  # float64: NaN and +-Inf are values and are kept
    "segment",  # int64: 0 for the first start, +1 per restart
    "source",  # category: path of the file, relative to the run directory
    "row",  # int64: 1-based line or record number in that source
    "name",  # category: the metric's name as logged
)


def empty_metrics() -> pd.DataFrame:
    """Return a metrics DataFrame without rows, with the right columns and types."""
    return metrics_frame({})


def labelled(codes: NDArray[Any], labels: Sequence[str]) -> pd.Categorical[Any]:
    """Return the category column that holds ``labels[code]`` for each of `codes`.

    Labels may repeat (two logged names of one metric); those that no code uses are left out.
    """
    import numpy as np
    import pandas as pd

    codes = np.asarray(codes)
    used = np.flatnonzero(np.bincount(codes, minlength=len(labels))) if len(codes) else codes
    names = sorted({labels[index] for index in used.tolist()})
    place = {name: index for index, name in enumerate(names)}
    renumber = np.zeros(len(labels) + 1, dtype=np.int32)
    for index in used.tolist():
        renumber[index] = place[labels[index]]
    return pd.Categorical.from_codes(renumber[codes], categories=pd.Index(names, dtype=str))


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return metrics frames one below the other; text columns stay categories."""
    import numpy as np
    import pandas as pd

    if len(frames) < 2:
        return frames[0] if frames else empty_metrics()
    return pd.DataFrame(
        {
            column: (
                _joined_labels([frame[column] for frame in frames])
                if isinstance(frames[0][column].dtype, pd.CategoricalDtype)
                else np.concatenate([frame[column].to_numpy() for frame in frames])
            )
            for column in frames[0].columns
        },
        copy=False,
    )


def _joined_labels(columns: Sequence[pd.Series[Any]]) -> pd.Categorical[Any]:
    """Return columns of categories one below the other, with those of the first one first."""
    import numpy as np
    import pandas as pd

    place: dict[str, int] = {}
    codes = []
    for column in columns:
        new = [place.setdefault(str(name), len(place)) for name in column.cat.categories]
        codes.append(np.array([*new, -1], dtype=np.int32)[column.cat.codes.to_numpy()])
    names = pd.Index(list(place), dtype=str)
    return pd.Categorical.from_codes(np.concatenate(codes), categories=names)


def metrics_frame(
    columns: Mapping[str, Sequence[object] | NDArray[Any] | pd.Categorical[Any] | str],
) -> pd.DataFrame:
    """Build a metrics DataFrame from columns; those missing get their neutral value.

    Needed are ``metric``, ``step`` and ``value``; ``name`` defaults to ``metric``. A text column may
    be one string for all rows, a list, or (fastest) what `labelled` returns.
    """
    import numpy as np
    import pandas as pd

    n = len(columns.get("value", ()))
    neutral: dict[str, Any] = {
        "metric": (),
        "step": (),
        "value": (),
        "epoch": np.full(n, np.nan),
        "time": np.full(n, np.nan),
        "segment": np.zeros(n, np.int64),
        "source": "",
        "row": np.arange(1, n + 1),
        "name": columns.get("metric", ()),
    }
    kinds = {
        "step": "int64",
        "epoch": "float64",
        "time": "float64",
        "value": "float64",
        "segment": "int64",
        "row": "int64",
    }
    frame: dict[str, Any] = {}
    for column in METRIC_COLUMNS:
        data = columns.get(column, neutral[column])
        if column in kinds:
            frame[column] = np.asarray(data, dtype=kinds[column])
        elif isinstance(data, pd.Categorical):
            frame[column] = data
        elif isinstance(data, str):
            frame[column] = labelled(np.zeros(n, dtype=np.int8), [data])
        else:
            codes, names = pd.factorize(np.asarray(data, dtype=object))
            frame[column] = labelled(codes, [str(name) for name in names])
    return pd.DataFrame(frame, copy=False)  # the arrays are ours: no need to stack them anew
