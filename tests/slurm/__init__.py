"""Tests that submit jobs to a real Slurm cluster, which the test session starts for itself."""
