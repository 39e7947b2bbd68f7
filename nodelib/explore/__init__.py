"""Explorers: figures that follow their controls, one file a chapter (see ``live.Live``)."""
