"""Asking about a snapshot: what a REF means, what is in a tree, what differs between two.

- A **REF** is how a person names a snapshot: a job, a pin, an id, a tree, a path.
- A **code tree** is a list of files and the way to their content, for a snapshot and the working
  tree alike.
- A **change** is what differs at one path.

- **finder**: which store, snapshot or tree is meant, from a folder.
- **references**, **candidates**: resolving a REF; what it may have meant.
- **codetree**: code trees. **treepaths**: paths in them, as people write them.
- **changes**: comparing two trees. **patch**: differences as git writes them.
"""
