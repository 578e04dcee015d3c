"""tfds builders, installed and imported as `transfusion_datasets`."""
