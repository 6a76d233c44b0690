"""The walk: finding files, in one pass that enters no folder in vain.

Words:
    barrier: a folder below which nothing is packed.
    maybe tracked: places where files may have been left out that git's index has.

Files: walk (the pass), listings and listing (names in folders: from this process, another one, or
threads), boundaries (barriers), environments and secretnames (what it notes for the warnings).
"""
