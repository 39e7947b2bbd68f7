"""One room a chapter: its explorers, and what they need of numbers, figures and tables."""
