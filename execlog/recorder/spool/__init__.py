"""The files of a recorder whose executions outlive its process."""
