"""Kinds of task: what a candidate is made of, how it is asked for, what may be wrong with it. One file each."""
