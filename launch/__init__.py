"""absl programs, each a thin shell over `transfusion_tf`; run from a checkout.

Example: `python -m launch.study --flagfile=launch/experiments/demo.flags`.
"""
