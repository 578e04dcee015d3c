"""A person's own images, in class folders or listed in a CSV file."""
