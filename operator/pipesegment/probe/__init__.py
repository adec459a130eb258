"""Probes: whether a way is open is tried.

Short-lived pods with a stage's labels and account try what is declared and what is not. Choosing, judging and the program that
runs in a pod are here; starting pods is behind `port.Prober`.
"""
