"""``options={"compile": True}``: the solver's steps compiled along with func. ``compiled.py`` is where a solve enters.

What can be compiled (``cases``), how a loop becomes a program (``programs``, ``building``), the loops themselves there
and back (``loops``, ``loops_back``), and the gradient (``compiled_gradients``). The numpy twin has no such folder.
"""
