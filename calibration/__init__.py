"""Calibration: measures a camera and how it hangs over the road, and writes files for the pipeline to read.

    photos of a board ──────▶ views ─────┬─▶ boards ─▶ camera ◀─ solvers     camera.toml
    a live camera, a video ─▶ live_views ┘
    marked road points ──────────────────────▶ ground                        ground.toml
    a drive ─────────────────────────────────▶ driving                       ground.toml

`command` is what `clearway calibrate` runs. INT8 ranges are another piece of work.
"""
