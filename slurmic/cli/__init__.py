"""The command line: parse, call, render. What is decided is decided elsewhere.

Standard output is data only; everything said to a person goes to standard error.
"""
