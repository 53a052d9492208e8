"""Keeps the verdict history and turns observations into findings.

observations → conditions (what is wrong now) and drift (what changed) → findings with cause and blast radius
"""
