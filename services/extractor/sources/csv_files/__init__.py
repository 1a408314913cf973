"""CSV files below CSV_DIR."""

from services.extractor.sources.csv_files.source import build

__all__ = ["build"]
