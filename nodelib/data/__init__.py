"""The data of the chapters: seeded generators, and files that are checked before they are read."""
