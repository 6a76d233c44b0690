"""What slurmic costs, measured against its peers in the same run on the same files.

``make bench`` runs :mod:`benchmarks.run`. Every benchmark is a module with one function,
``run(settings, report)``: see :mod:`benchmarks.harness` for what it is given, and the table
``BENCHMARKS`` in :mod:`benchmarks.run` for the list.
"""
