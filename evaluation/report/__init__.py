"""A page that shows a measurement: figures, plots, and the frames that were seen worst."""

from evaluation.report.gallery import Gallery
from evaluation.report.page import write_report

__all__ = ["Gallery", "write_report"]
