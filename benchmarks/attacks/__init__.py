"""Cheap attacks on measures of synthetic data: which measure takes which fake for fresh organic text?"""
