"""What runs a command again and again: units of systemd, a CronJob of Kubernetes. Text to be put somewhere."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

_SYSTEMD = """\
# ~/.config/systemd/user/tf-tester-{name}.service, or /etc/systemd/system with User= added
[Unit]
Description=Sync the package replica {name}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
Environment={store}
ExecStart={command}
Nice=10
IOSchedulingClass=idle

# ~/.config/systemd/user/tf-tester-{name}.timer, then: systemctl --user enable --now tf-tester-{name}.timer
[Unit]
Description=Sync the package replica {name} again and again

[Timer]
OnActiveSec=0
OnUnitActiveSec={seconds}
RandomizedDelaySec={spread}

[Install]
WantedBy=timers.target
"""

_CRONJOB = """\
# kubectl apply -f -; the image has tf-tester in it, the two volumes are yours to name.
apiVersion: batch/v1
kind: CronJob
metadata:
  name: tf-tester-{name}
spec:
  schedule: "{schedule}"
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      backoffLimit: 1
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: sync
              image: tf-tester
              command: {command}
              env:
                - {{name: TF_TESTER_STORE, value: /store}}
              volumeMounts:
                - {{name: store, mountPath: /store}}
                - {{name: config, mountPath: {folder}, readOnly: true}}
          volumes:
            - name: store
              persistentVolumeClaim: {{claimName: tf-tester-store}}
            - name: config
              configMap: {{name: tf-tester-{name}}}
"""


def systemd(name: str, words: Sequence[str], seconds: float, store: Path) -> str:
    """Return a service and its timer for `tf-tester sync` with these words, the last of them the file.

    The service keeps to the store of who asked: systemd passes on no variable of a shell, and its user may have another
    home.
    """
    program = shutil.which("tf-tester") or sys.argv[0]
    command = " ".join(_quoted(word).replace("$", "$$") for word in (program, "sync", *words))
    place = _quoted(f"TF_TESTER_STORE={store}")
    spread = round(seconds / 10)
    return _SYSTEMD.format(name=name, store=place, command=command, seconds=round(seconds), spread=spread)


def cronjob(name: str, words: Sequence[str], seconds: float) -> str:
    """Return the same for Kubernetes."""
    command = json.dumps(["tf-tester", "sync", *words])
    folder = json.dumps(words[-1].rpartition("/")[0] or "/")
    label = "".join(letter if letter.isalnum() else "-" for letter in name)
    return _CRONJOB.format(name=label, command=command, folder=folder, schedule=_schedule(seconds))


def _quoted(word: str) -> str:
    """Quote a word as systemd.syntax(7) has it; per cent signs are specifiers."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{word}"' if not word or any(letter in word for letter in " \t'\"") else word


def _schedule(seconds: float) -> str:
    """Return the nearest that cron can say, at a minute that not everybody has.

    >>> [_schedule(seconds) for seconds in (600, 3600, 4 * 3600, 86_400)]
    ['*/10 * * * *', '17 * * * *', '17 */4 * * *', '17 3 * * *']
    """
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"*/{minutes} * * * *"
    hours = round(minutes / 60)
    if hours >= 24:
        return "17 3 * * *"
    return "17 * * * *" if hours == 1 else f"17 */{hours} * * *"
