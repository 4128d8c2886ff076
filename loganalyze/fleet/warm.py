"""What a worker needs, imported once: processes made from one that has it start in milliseconds."""

import numpy  # noqa: F401
import pandas  # noqa: F401
import pyarrow.compute
import pyarrow.csv  # noqa: F401

import loganalyze.diagnosis
import loganalyze.fleet.work  # noqa: F401
from loganalyze.causes import hypotheses
from loganalyze.detect import detectors
from loganalyze.ingest import ingesters, merge  # noqa: F401

hypotheses()
detectors()
ingesters()
