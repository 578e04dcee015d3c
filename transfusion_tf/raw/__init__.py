"""A user's raw files, read strictly: labels, paths, images, patients.

Worker processes of the preparation import this package: nothing in it
imports TensorFlow.
"""
