"""The chapters that hold the pattern that CONTRIBUTING describes. A chapter comes in when it is written so, and stays.

Tests hold what is in here to: any cell can be run again; no name means two things; the core path is a session at most,
and the chapter says what is computed of its time.
"""

MENDED = ("00_start_here", "01_resnet_as_euler", "02_adjoint", "03_mnist", "04_cnf", "05_latent_ode", "06_limitations")
