"""A file name that breaks what is not prepared for it: a newline, no UTF-8, a terminal's escape."""

HOSTILE = b"new\nline\xff \x1b[31m.py"
