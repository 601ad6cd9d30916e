"""Calibration: measures a camera, the road plane and INT8 ranges, and writes files for the pipeline to read.

Empty so far: camera and ground calibration and INT8 quantisation are the next pieces of work.
"""
