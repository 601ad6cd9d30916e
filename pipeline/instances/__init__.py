"""Who is who: road users that were seen before are recognised, others are entered as new. Off unless asked for.

What is kept of whom, and how to be rid of it: ``docs/instances.md``.
"""

from __future__ import annotations

from pipeline.instances.database import Instance, InstanceDatabase
from pipeline.instances.descriptor import DESCRIPTOR_LENGTH, describe
from pipeline.instances.recogniser import Recogniser, RecognitionRules

__all__ = ["DESCRIPTOR_LENGTH", "Instance", "InstanceDatabase", "Recogniser", "RecognitionRules", "describe"]
