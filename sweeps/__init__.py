"""Many runs: search space, trials, Spark, the sweep's report."""
