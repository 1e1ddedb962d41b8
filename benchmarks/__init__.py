"""Benchmarks: programs that measure, and print one JSON object as their last line."""
