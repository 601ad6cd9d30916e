"""A page that shows a measurement: figures, plots, and the frames that were seen worst."""

from evaluation.report.gallery import Gallery
from evaluation.report.page import refuse_unwritable, write_report

__all__ = ["Gallery", "refuse_unwritable", "write_report"]
