"""What happened: outcomes of tests and cells, the run's report, comparisons with other runs."""
