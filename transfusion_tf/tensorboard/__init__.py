"""What TensorBoard shows of a run; a view of the records, never the record."""
