"""Have the system rather kill others when memory runs out."""

for score in ("-900", "0", "799"):
    try:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write(score)
    except OSError:
        pass
with open("/proc/self/oom_score_adj") as stream:
    print("at", stream.read())
