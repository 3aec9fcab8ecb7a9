"""How bytes are brought and how long they stay: races, retries, rankings, eviction."""
