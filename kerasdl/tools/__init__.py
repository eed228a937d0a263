"""Commands built on training: comparison, benchmark, doctor, sweep, study, report."""
