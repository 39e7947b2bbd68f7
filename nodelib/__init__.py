"""nodelib: neural ODEs to read (``nodelib.numpy_ode``) and to use (``nodelib.torch_ode``).

Nothing is imported here, so that reading the numpy twin never waits for torch.
"""
