"""Where project pages come from: an index is a node, and nodes wrap nodes."""
