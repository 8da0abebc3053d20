"""What each benchmark measures. Imported when Django is set up on the benchmark's own stage."""
