"""MLflow stores, read without MLflow: the ``mlruns`` folder and the SQLite database."""

from __future__ import annotations

from loganalyze.ingest.ingester import Ingester
from loganalyze.ingest.mlflow_files import claims_run_folder, read_run_folder
from loganalyze.ingest.mlflow_sqlite import claims_database, read_database

FILE_STORE = Ingester("mlflow", claims_run_folder, read_run_folder)
DATABASE = Ingester("mlflow-sqlite", claims_database, read_database)
