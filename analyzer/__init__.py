"""Keeps the verdict history and turns observations into findings.

observations of names and of zones → conditions (what is wrong now) and drift (what changed) → findings with cause and
blast radius
"""
