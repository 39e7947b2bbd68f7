"""The book's own tools: live figures, style, tables, checks, glossary, the machine check, the refresh of notebooks."""
