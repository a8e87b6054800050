"""The ground floor: errors, atomic writing, safe reading, progress.

Nothing here imports another room.
"""
