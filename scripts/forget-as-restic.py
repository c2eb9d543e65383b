#!/usr/bin/env python3
"""Compares `forget --dry-run --json` with restic's, for random policies over random snapshots.

    scripts/forget-as-restic.py --restic restic --larder target/release/larder [--policies 300] [--seed 1]
    scripts/forget-as-restic.py --restic restic --fixture repo-core/src/ops/forget/tests/restic.txt

The second form writes what restic says into the table that the tests of `ops::forget` read.
Needs 100 MB below $TMPDIR.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

PERIODS = ["last", "hourly", "daily", "weekly", "monthly", "yearly"]
TAGS = ["a", "b", "c"]


def run(program, arguments, env, check=True):
    done = subprocess.run([program, *arguments], env=env, capture_output=True, text=True)
    if check and done.returncode != 0:
        sys.exit(f"{' '.join([program, *arguments])}: {done.stderr}")
    return done


def random_times(rng, count, step_hours):
    """Points in time of random distance, ending in 2024."""
    at = datetime(2024, 11, rng.randint(1, 20), rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59))
    times = []
    for _ in range(count):
        times.append(at)
        at -= timedelta(seconds=rng.randint(60, int(step_hours * 7200)))
    return times[::-1]


def random_span(rng):
    units = rng.sample("ymdh", rng.randint(1, 3))
    most = {"y": 2, "m": 8, "d": 40, "h": 72}
    return "".join(f"{rng.randint(1, most[u])}{u}" for u in "ymdh" if u in units)


def random_policy(rng):
    policy = []
    for period in rng.sample(PERIODS, rng.randint(0, 3)):
        count = rng.choice(["unlimited", *map(str, range(1, 9))])
        policy += [f"--keep-{period}", count]
    for period in rng.sample(["", *PERIODS[1:]], rng.choice([0, 0, 1, 2])):
        policy += [f"--keep-within{'-' if period else ''}{period}", random_span(rng)]
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        policy += ["--keep-tag", ",".join(rng.sample(TAGS, rng.randint(1, 2)))]
    return policy or random_policy(rng)


class Tool:
    """A program with a repository of its own."""

    def __init__(self, program, directory, extra, key_file=False):
        self.program = program
        self.extra = extra
        key = str(directory / "key")
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "XDG_CACHE_HOME": str(directory / "cache"),
            "XDG_STATE_HOME": str(directory / "state"),
            "RESTIC_PASSWORD": "x",
            "RESTIC_REPOSITORY": str(directory / "repository"),
        }
        directory.mkdir()
        if key_file:
            run(program, ["init", "--new-key-file", key], self.env)
            self.env["LARDER_KEY_FILE"] = key
        else:
            run(program, ["init"], self.env)

    def backup(self, source, time, zone, tags):
        flags = [flag for tag in tags for flag in ("--tag", tag)]
        text = time.strftime("%Y-%m-%d %H:%M:%S")
        arguments = ["backup", "--quiet", "--host", "host", "--time", text, *flags, str(source)]
        run(self.program, arguments, self.env | {"TZ": zone})

    def forget(self, policy, zone):
        """Kept snapshots by time, with reasons."""
        arguments = ["forget", "--dry-run", "--json", *self.extra, *policy]
        done = run(self.program, arguments, self.env | {"TZ": zone}, check=False)
        if done.returncode != 0:
            return done.returncode
        kept = {}
        for group in json.loads(done.stdout):
            reasons = {r["snapshot"]["id"]: r["matches"] for r in group["reasons"] or []}
            for snapshot in group["keep"] or []:
                kept[snapshot["time"]] = reasons[snapshot["id"]]
        return kept


def lists(rng):
    """Lists of snapshots: (name, zone of the caller, [(time, zone, tags)])."""
    def tags():
        return rng.sample(TAGS, rng.choice([0, 0, 1, 2]))

    yield "nightly", "UTC", [(t, "UTC", tags()) for t in random_times(rng, 24, 24)]
    yield "often", "UTC", [(t, rng.choice(["UTC", "Asia/Tokyo", "Pacific/Marquesas"]), tags())
                           for t in random_times(rng, 24, 3)]
    yield "seldom", "Europe/Berlin", [(t, "Europe/Berlin", tags()) for t in random_times(rng, 24, 600)]


def seconds(text):
    time = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return int((time - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds()), int(
        time.utcoffset().total_seconds()) // 60


def write_fixture(path, restic, rng, directory, source):
    lines = ["# What restic 0.19.1 keeps. Made by scripts/forget-as-restic.py, which says how.",
             "# list NAME ZONE; snapshot SECONDS OFFSET_MIN TAGS; policy FLAGS; keep SECONDS=REASON;REASON …"]
    for name, zone, snapshots in lists(rng):
        tool = Tool(restic, directory / name, [])
        for time, own, tags in snapshots:
            tool.backup(source, time, own, tags)
        lines.append(f"list {name} {zone}")
        shown = json.loads(run(restic, ["snapshots", "--json"], tool.env).stdout)
        for snapshot in shown:
            at, offset = seconds(snapshot["time"])
            lines.append(f"snapshot {at} {offset} {','.join(snapshot.get('tags') or [])}".rstrip())
        for _ in range(40):
            policy = random_policy(rng)
            kept = tool.forget(policy, zone)
            if isinstance(kept, int):
                continue
            lines.append("policy " + " ".join(policy))
            lines.append("keep " + "|".join(
                f"{seconds(time)[0]}={';'.join(reasons)}" for time, reasons in kept.items()))
    Path(path).write_text("\n".join(lines) + "\n")


def compare(arguments, rng, directory, source):
    wrong = done = 0
    while done < arguments.policies:
        for name, zone, snapshots in lists(rng):
            home = directory / f"{name}-{done}"
            home.mkdir()
            ours = Tool(arguments.larder, home / "larder", ["--quarantine", "off"], key_file=True)
            theirs = Tool(arguments.restic, home / "restic", [])
            for time, own, tags in snapshots:
                for tool in (ours, theirs):
                    tool.backup(source, time, own, tags)
            for _ in range(min(100, arguments.policies)):
                policy = random_policy(rng)
                expected, found = theirs.forget(policy, zone), ours.forget(policy, zone)
                done += 1
                if expected != found:
                    wrong += 1
                    print(f"{name}: {' '.join(policy)}\n  restic {expected}\n  larder {found}")
    print(f"{done} policies, {wrong} differ")
    return wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restic", default="restic")
    parser.add_argument("--larder")
    parser.add_argument("--fixture")
    parser.add_argument("--policies", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        source = directory / "source"
        source.mkdir()
        (source / "file").write_text("content")
        if arguments.fixture:
            write_fixture(arguments.fixture, arguments.restic, rng, directory, source)
        elif not compare(arguments, rng, directory, source):
            sys.exit(1)


if __name__ == "__main__":
    main()
