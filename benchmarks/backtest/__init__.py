"""Does the beginning of a real run foretell what the whole of it cost?"""
