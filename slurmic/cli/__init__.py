"""The command line: parse, call, render. What is decided is decided elsewhere.

Standard output is data only; everything said to a person goes to standard error.

- **main**: the entry point; which error ends with which exit code.
- **table**: the names of the commands, their modules and one-line help; needs no click.
- **exits**: the exit codes.
- **commands**: one command a file, declared with click.
- **arguments**: what the declarations share: options, kinds of values, completion.
- **output**: how results are drawn, and the standard streams.
"""
