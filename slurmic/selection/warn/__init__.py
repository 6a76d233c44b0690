"""What a user should know of a selection before relying on it: each kind once, with counts.

Files: warning (the type), and one kind a file: addback and folders (many files by their suffixes,
environments), links, secrets, leftout (what is missing, ignored as a whole, or unreadable).
"""
