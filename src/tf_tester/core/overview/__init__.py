"""What a run came to, in the few things that every report tells first."""
