"""What is true: passages, facts, and the anchors and evidence chosen for a brief."""
