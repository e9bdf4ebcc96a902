"""The pure middle: what can be told, what supersedes what, and the journal's hash chain."""
