"""Calibration: measures a camera and how it hangs over the road, and writes files for the pipeline to read.

    photos of a board ─▶ views ─▶ boards ─▶ camera ◀─ solvers         camera.toml
    marked road points ─────────────────────▶ ground                  ground.toml

`command` is what `clearway calibrate` runs. INT8 ranges are another piece of work.
"""
